import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { launch, openPage } from '../browser.mjs';
import { enqueue, graphql, shell, untilFinished, URL_OF_PAGES } from './api.mjs';
import { assertAccessible, assertClean, signedIn } from './panel.mjs';

let browser;
let id;
before(async () => {
  id = await enqueue(await shell('e2e-quick', 'echo done'));
  await untilFinished(id);
  browser = await launch();
});
after(() => browser?.close());

test('on a narrow screen the pages are in a menu, and nothing is wider than the screen', async () => {
  const { page, context, record } = await signedIn(browser, '/jobs', { viewport: { width: 390, height: 800 } });
  await page.locator('.table-body .job-row').first().waitFor();
  const fits = () => page.evaluate(() => document.documentElement.scrollWidth <= innerWidth);
  assert.equal(await fits(), true);
  await assertAccessible(page);
  await page.getByRole('button', { name: 'Menu' }).click();
  await page.getByRole('dialog', { name: 'Menu' }).waitFor();
  await assertAccessible(page);
  await page.getByRole('dialog').getByRole('link', { name: 'Settings' }).click();
  await page.getByRole('heading', { name: 'Settings' }).waitFor();
  await assertAccessible(page);
  for (const tab of ['', '?tab=log', '?tab=events']) {
    await page.goto(`${URL_OF_PAGES}/jobs/${id}${tab}`);
    await page.getByText(id).first().waitFor();
    assert.equal(await fits(), true);
    await assertAccessible(page);
  }
  assertClean(record);
  await context.close();
});

test('one time zone holds for every time, with the exact time on hover', async () => {
  const { job } = await graphql('query ($id: ID!) { job(id: $id) { createdAt } }', { id });
  const { page, context, record } = await signedIn(browser, '/settings', { timezoneId: 'America/New_York' });
  const shown = async () => {
    await page.goto(`${URL_OF_PAGES}/jobs/${id}`);
    const time = page.locator('.facts time').first();
    await time.waitFor();
    assert.equal(await time.getAttribute('title'), job.createdAt);
    return time.innerText();
  };
  const inZone = (timeZone) => new Intl.DateTimeFormat('sv-SE', { dateStyle: 'short', timeStyle: 'medium', timeZone }).format(new Date(job.createdAt));
  assert.equal(await shown(), inZone('America/New_York'));
  await page.goto(`${URL_OF_PAGES}/settings`);
  await page.getByLabel('Name of the time zone').fill('Asia/Tokyo');
  assert.equal(await shown(), inZone('Asia/Tokyo'));
  await page.goto(`${URL_OF_PAGES}/settings`);
  await page.getByLabel('UTC', { exact: true }).check();
  assert.equal(await shown(), inZone('UTC'));
  assertClean(record);
  await context.close();
});

test('a VIEWER sees no action that the role may not do', async () => {
  const name = `e2e viewer ${Date.now()}`;
  const create = 'mutation ($input: ApiKeyCreateInput!) { apiKeyCreate(input: $input) { key apiKey { id } } }';
  const { apiKeyCreate } = await graphql(create, { input: { name, role: 'VIEWER' } });
  const { page, context, record } = await openPage(browser, URL_OF_PAGES);
  await page.goto(`${URL_OF_PAGES}/jobs/${id}#key=${apiKeyCreate.key}`);
  await page.getByText(id).first().waitFor();
  await page.getByText('VIEWER').waitFor();
  assert.equal(await page.getByRole('button', { name: 'Retry' }).count(), 0);
  await page.keyboard.press('r');
  await page.goto(`${URL_OF_PAGES}/jobs`);
  await page.locator('.table-body .job-row').first().waitFor();
  await page.keyboard.press('j');
  await page.keyboard.press('x');
  await page.getByText('1 selected').waitFor();
  assert.equal(await page.getByRole('button', { name: /Retry|Cancel all/ }).count(), 0);
  // A revoked key ends the session within a second, with the reason.
  await graphql('mutation ($input: ApiKeyRevokeInput!) { apiKeyRevoke(input: $input) { apiKey { id } } }', { input: { id: apiKeyCreate.apiKey.id } });
  await page.getByLabel('API key', { exact: true }).waitFor();
  await page.getByRole('alert').filter({ hasText: /revoked|ended/i }).waitFor();
  assertClean(record);
  await context.close();
});
