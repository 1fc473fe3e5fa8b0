import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { launch, openPage } from '../browser.mjs';
import { cancel, enqueue, graphql, shell, untilState, URL_OF_PAGES } from './api.mjs';
import { assertAccessible, assertClean, signedIn } from './panel.mjs';

const turn = Date.now();
const SECRET = `e2e-secret-${turn}-abcdWXYZ`;
const name = `e2e-profile-${turn}`;
let browser;
let proxyId;

const mutate = async (field, type, input, selection) => {
  const payload = (await graphql(`mutation ($input: ${type}!) { ${field}(input: $input) { ${selection} userErrors { path message } } }`, { input }))[field];
  assert.deepEqual(payload.userErrors, []);
  return payload;
};

before(async () => {
  const proxy = { name: `e2e-exit-${turn}`, protocol: 'HTTP', address: '127.0.0.1:9' };
  proxyId = (await mutate('proxyCreate', 'ProxyCreateInput', proxy, 'proxy { id }')).proxy.id;
  browser = await launch();
});
after(() => browser?.close());

/** Records what the sockets and the answers bring. */
function heardBy(page) {
  const heard = [];
  page.on('websocket', (socket) => socket.on('framereceived', ({ payload }) => heard.push(String(payload))));
  page.on('response', (response) => {
    if (response.url().endsWith('/graphql')) void response.text().then((text) => heard.push(text), () => undefined);
  });
  return heard;
}

test('a profile is created, given a secret, changed and deleted by keyboard', async () => {
  const { page, context, record } = await signedIn(browser, '/profiles');
  const heard = heardBy(page);
  await page.getByRole('heading', { name: 'Profiles' }).waitFor();
  await page.getByRole('button', { name: 'New profile' }).focus();
  await page.keyboard.press('Enter');
  await page.getByRole('dialog', { name: 'New profile' }).waitFor();
  await assertAccessible(page);
  await page.keyboard.type(name);
  await page.getByLabel('Add a proxy').selectOption(proxyId);
  await page.getByRole('button', { name: 'Add a variable' }).click();
  await page.getByLabel('Name, variable 1').fill('CALLBOARD_X');
  await page.keyboard.press('Enter');
  await page.locator('.rows [role=alert]').filter({ hasText: 'CALLBOARD_' }).waitFor();
  await page.getByLabel('Name, variable 1').fill('REGION');
  await page.getByLabel('Value, variable 1').fill('eu');
  await page.keyboard.press('Enter');
  await page.waitForURL(/\/profiles\/profile_/);
  await page.locator('.facts').waitFor();
  assert.match(await page.locator('.item-held').innerText(), /Free/);

  await page.getByRole('button', { name: 'Set a secret' }).focus();
  await page.keyboard.press('Enter');
  await page.getByRole('dialog', { name: 'Set a secret' }).waitFor();
  await page.keyboard.type('login');
  await page.keyboard.press('Tab');
  await page.keyboard.type(SECRET);
  assert.ok(!(await page.content()).includes(SECRET), 'the value stands in no attribute');
  await assertAccessible(page);
  await page.keyboard.press('Enter');
  await page.getByText('…WXYZ').waitFor();
  await page.getByRole('button', { name: 'Replace login' }).click();
  assert.equal(await page.getByLabel('Value', { exact: true }).inputValue(), '', 'the field is empty again');
  await page.keyboard.press('Escape');
  await page.getByRole('dialog').waitFor({ state: 'detached' });

  await page.getByRole('button', { name: 'Remove login' }).click();
  await page.keyboard.type('login');
  await page.keyboard.press('Enter');
  await page.getByText('None are set.', { exact: false }).waitFor();
  await assertAccessible(page);

  await page.getByRole('button', { name: 'Delete', exact: true }).focus();
  await page.keyboard.press('Enter');
  await page.getByRole('dialog').waitFor();
  assert.equal(await page.getByRole('button', { name: 'Delete the profile' }).isDisabled(), true);
  await page.keyboard.type(name);
  await page.keyboard.press('Enter');
  await page.waitForURL((url) => url.pathname === '/profiles');
  const stored = await page.evaluate(() => JSON.stringify([{ ...localStorage }, { ...sessionStorage }, location.href]));
  for (const text of [stored, await page.content(), ...heard]) assert.ok(!text.includes(SECRET), 'the secret has not come out');
  assertClean(record);
  await context.close();
});

test('what somebody else has changed is shown, and mine can be kept', async () => {
  const { id, version } = (await mutate('profileCreate', 'ProfileCreateInput', { name: `${name}-stale`, labels: ['old'] }, 'profile { id version }')).profile;
  const { page, context, record } = await signedIn(browser, `/profiles/${id}`);
  await page.getByRole('button', { name: 'Edit' }).click();
  await page.getByLabel('Description').fill('mine');
  await mutate('profileUpdate', 'ProfileUpdateInput', { id, version, labels: ['theirs'] }, 'profile { id }');
  await page.getByRole('button', { name: 'Save' }).click();
  const row = page.getByRole('region', { name: 'What has changed' }).getByRole('row').filter({ hasText: 'Labels' });
  await row.waitFor();
  assert.match(await row.innerText(), /old\s+theirs\s+left as it is now/);
  await assertAccessible(page);
  await page.getByRole('button', { name: 'Keep my changes' }).click();
  await page.getByRole('button', { name: 'Save' }).click();
  await page.getByRole('dialog').waitFor({ state: 'detached' });
  const { profile } = await graphql('query ($id: ID!) { profile(id: $id) { description labels } }', { id });
  assert.deepEqual(profile, { description: 'mine', labels: ['theirs'] });
  assertClean(record);
  await context.close();
});

test('a card says live which job holds the profile, also on a narrow screen', async () => {
  const { id } = (await mutate('profileCreate', 'ProfileCreateInput', { name: `${name}-held`, proxyIds: [proxyId] }, 'profile { id }')).profile;
  const { page, context, record } = await signedIn(browser, `/profiles?q=${name}-held`);
  const card = page.locator(`[data-profile="${id}"]`);
  await card.getByText('Free.', { exact: false }).waitFor();
  await assertAccessible(page);
  const job = await enqueue(await shell('e2e-hold', 'sleep 300'), { profileId: id });
  await untilState(job, 'RUNNING');
  await card.getByRole('link', { name: 'e2e-hold' }).waitFor();
  await page.setViewportSize({ width: 390, height: 800 });
  assert.equal(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), true);
  await assertAccessible(page);
  await cancel(job);
  await card.getByText('Free.', { exact: false }).waitFor();
  assertClean(record);
  await context.close();
});

test('a VIEWER sees profiles and may change nothing', async () => {
  const { id } = (await mutate('profileCreate', 'ProfileCreateInput', { name: `${name}-seen` }, 'profile { id }')).profile;
  const { key } = await mutate('apiKeyCreate', 'ApiKeyCreateInput', { name: `e2e profiles ${turn}`, role: 'VIEWER' }, 'key');
  const { page, context, record } = await openPage(browser, URL_OF_PAGES);
  await page.goto(`${URL_OF_PAGES}/profiles/${id}#key=${key}`);
  await page.getByText('Free.', { exact: false }).waitFor();
  assert.equal(await page.getByRole('button', { name: /Edit|Delete|Set a secret/ }).count(), 0);
  assertClean(record);
  await context.close();
});
