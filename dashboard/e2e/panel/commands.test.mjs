import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { launch, openPage } from '../browser.mjs';
import { graphql, shell, URL_OF_PAGES } from './api.mjs';
import { assertAccessible, assertClean, signedIn } from './panel.mjs';

const TURN = Date.now().toString(36);
let browser;
before(async () => {
  for (let index = 0; index < 55; index++) await shell(`e2e-page-${String(index).padStart(2, '0')}`, 'true');
  browser = await launch();
});
after(() => browser?.close());

const field = (page, ...path) => page.locator(`[id="field:${path.join('/')}"]`);
const stored = async (id) =>
  (await graphql('query ($id: ID!) { command(id: $id) { name description version policy { maxAttempts timeout maxConcurrency } spec { ... on ProgramSpec { program arguments } } } }', { id })).command;
const update = (input) => graphql('mutation ($input: CommandUpdateInput!) { commandUpdate(input: $input) { userErrors { message } } }', { input });

test('commands are searched, and come page by page', async () => {
  const { page, context, record } = await signedIn(browser, '/commands');
  await page.getByRole('table', { name: 'Commands' }).waitFor();
  await page.keyboard.press('/');
  await page.keyboard.type('e2e-page');
  await page.waitForURL(/q=e2e-page/);
  await page.getByText('55 commands').waitFor();
  assert.equal(await page.locator('tbody tr').count(), 50);
  await assertAccessible(page);
  await page.getByRole('button', { name: /Show more/ }).click();
  await page.getByRole('link', { name: 'e2e-page-54' }).waitFor();
  assert.equal(await page.locator('tbody tr').count(), 55);
  assert.equal(await page.getByRole('button', { name: /Show more/ }).count(), 0);
  await page.getByLabel('Part of the name').fill('no such command');
  await page.getByText('No command matches').waitFor();
  await page.getByRole('button', { name: 'Clear the search' }).click();
  await page.getByRole('link', { name: 'e2e-page-00' }).waitFor();
  assert.ok(!page.url().includes('q='));
  await page.getByLabel('Part of the name').fill('e2e-page-07');
  await page.getByText('1 command', { exact: true }).waitFor();
  await page.getByLabel('Part of the name').blur();
  await page.keyboard.press('j');
  await page.keyboard.press('o');
  await page.getByRole('heading', { name: /e2e-page-07/ }).waitFor();
  await page.getByRole('link', { name: 'Run' }).click();
  await page.waitForURL(/\/compose\?command=command_/);
  assertClean(record);
  await context.close();
});

test('the palette opens a command, and composes with it', async () => {
  const { page, context, record } = await signedIn(browser, '/settings');
  await page.getByRole('heading', { name: 'Settings' }).waitFor();
  await page.keyboard.press('Control+K');
  await page.getByRole('combobox', { name: 'Go to' }).fill('e2e-page-33');
  await page.getByRole('option', { name: 'Compose e2e-page-33' }).click();
  await page.getByRole('heading', { name: 'Compose', exact: true }).waitFor();
  await page.getByTestId('preview').waitFor();
  await page.keyboard.press('Control+K');
  await page.getByRole('combobox', { name: 'Go to' }).fill('e2e-page-33');
  await page.getByRole('option', { name: /^e2e-page-33/ }).click();
  await page.getByRole('heading', { name: /e2e-page-33/ }).waitFor();
  await page.keyboard.press('g');
  await page.keyboard.press('m');
  await page.waitForURL(/\/commands$/);
  assertClean(record);
  await context.close();
});

test('a command is edited with a preview, and a conflict shows both sides', async () => {
  const id = await shell(`e2e-edit-${TURN}`, 'echo one', { policy: { maxConcurrency: 3 } });
  const { page, context, record } = await signedIn(browser, `/commands/${id}`);
  await page.getByText('echo one').waitFor();
  await assertAccessible(page);
  await page.getByRole('link', { name: 'Edit' }).click();
  await page.getByText('Nothing is changed.').waitFor();
  await field(page, 'spec', 'program', 'arguments', '1').fill('echo {{ input.q | default("two") }}');
  await page.getByTestId('preview').getByText('echo two').waitFor();
  await page.getByText('Policy', { exact: true }).click();
  await page.getByRole('button', { name: 'Leave out Jobs at once at most' }).click();
  await assertAccessible(page);
  await update({ id, description: 'from elsewhere', spec: { program: { program: '/bin/sh', arguments: ['-c', 'echo three'] } } });
  await page.getByRole('button', { name: 'Save', exact: true }).click();
  await page.getByRole('heading', { name: 'Somebody else has changed this command' }).waitFor();
  assert.match(await page.getByLabel('Yours, spec').innerText(), /default\(/);
  assert.match(await page.getByLabel('Stored now, spec').innerText(), /echo three/);
  await assertAccessible(page);
  await page.getByRole('button', { name: 'Save mine over it' }).click();
  await page.getByText('The command is saved.').waitFor();
  const found = await stored(id);
  assert.deepEqual(found.spec, { program: '/bin/sh', arguments: ['-c', 'echo {{ input.q | default("two") }}'] });
  // What was not changed here is as it was saved elsewhere.
  assert.equal(found.description, 'from elsewhere');
  assert.deepEqual(found.policy, { maxAttempts: 1, timeout: 'PT10M', maxConcurrency: null });
  await page.getByText('from elsewhere').waitFor();
  await page.getByRole('link', { name: 'Edit' }).click();
  await field(page, 'description').fill('mine');
  await update({ id, description: 'theirs' });
  await page.getByRole('button', { name: 'Save', exact: true }).click();
  await page.getByRole('button', { name: 'Take what is stored' }).waitFor();
  // What is not saved is not left by accident.
  page.once('dialog', (dialog) => dialog.dismiss());
  await page.getByRole('navigation', { name: 'Of this command' }).getByRole('link', { name: 'Overview' }).click();
  assert.match(page.url(), /tab=edit/);
  await page.getByRole('button', { name: 'Take what is stored' }).click();
  assert.equal(await field(page, 'description').inputValue(), 'theirs');
  await page.getByText('Nothing is changed.').waitFor();
  await page.setViewportSize({ width: 390, height: 800 });
  assert.equal(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth && document.querySelector('.main').scrollWidth <= innerWidth), true);
  await assertAccessible(page);
  // The server's refusals stand at their fields.
  await field(page, 'queue').fill('Not A Queue');
  await page.getByRole('button', { name: 'Save', exact: true }).click();
  await page.locator('[id="field:queue:mistakes"]').waitFor();
  assertClean(record);
  await context.close();
});

test('a command is deleted once its name is typed', async () => {
  const name = `e2e-delete-${TURN}`;
  const id = await shell(name, 'true');
  const { page, context, record } = await signedIn(browser, `/commands/${id}`);
  await page.getByRole('button', { name: 'Delete', exact: true }).click();
  const confirm = page.getByRole('button', { name: 'Delete the command' });
  assert.equal(await confirm.isDisabled(), true);
  await assertAccessible(page);
  await page.getByRole('dialog').getByRole('textbox').fill(name);
  await update({ id, description: 'changed' });
  await page.keyboard.press('Enter');
  await page.getByRole('alert').filter({ hasText: 'Somebody has changed the command' }).waitFor();
  await page.reload();
  await page.getByRole('button', { name: 'Delete', exact: true }).click();
  await page.getByRole('dialog').getByRole('textbox').fill(name);
  await page.keyboard.press('Enter');
  await page.waitForURL(/\/commands$/);
  assert.equal(await stored(id), null);
  await page.goto(`${URL_OF_PAGES}/commands/${id}`);
  await page.getByText('There is no such command').waitFor();
  await assertAccessible(page);
  assertClean(record);
  await context.close();
});

test('a VIEWER reads commands, and sees nothing to change', async () => {
  const id = await shell(`e2e-look-${TURN}`, 'true');
  const create = 'mutation ($input: ApiKeyCreateInput!) { apiKeyCreate(input: $input) { key apiKey { id } } }';
  const { apiKeyCreate } = await graphql(create, { input: { name: `e2e commands ${TURN}`, role: 'VIEWER' } });
  const { page, context, record } = await openPage(browser, URL_OF_PAGES);
  await page.goto(`${URL_OF_PAGES}/commands/${id}?tab=edit#key=${apiKeyCreate.key}`);
  await page.getByRole('link', { name: 'Preview' }).waitFor();
  assert.equal(await page.getByRole('button', { name: /Delete|Save/ }).count(), 0);
  assert.equal(await page.getByRole('link', { name: /^(Edit|Run)$/ }).count(), 0);
  await page.goto(`${URL_OF_PAGES}/commands`);
  await page.getByRole('table', { name: 'Commands' }).waitFor();
  assert.equal(await page.getByRole('link', { name: 'New command' }).count(), 0);
  await graphql('mutation ($input: ApiKeyRevokeInput!) { apiKeyRevoke(input: $input) { apiKey { id } } }', { input: { id: apiKeyCreate.apiKey.id } });
  assertClean(record);
  await context.close();
});
