import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { launch } from '../browser.mjs';
import { graphql } from './api.mjs';
import { assertAccessible, assertClean, signedIn } from './panel.mjs';
import { asViewer } from './roles.mjs';

let browser;
before(async () => (browser = await launch()));
after(() => browser?.close());

const workers = async () => (await graphql('{ workers { id hostname concurrency status queues } }')).workers;

test('each worker has its slots, queues, kinds and the age of its heartbeat', async () => {
  const all = await workers();
  const { page, context, record } = await signedIn(browser, '/workers');
  for (const { id, concurrency, queues } of all) {
    const row = page.getByRole('row', { name: new RegExp(id.slice(-6)) });
    await row.getByText(new RegExp(`^\\d+ of ${concurrency}$`)).waitFor();
    await row.getByRole('link', { name: queues[0], exact: true }).waitFor();
    await row.getByText(/^\d+ (s|min) ago$/).waitFor();
  }
  assert.equal(await page.locator('tbody tr').count(), all.length);
  await assertAccessible(page);
  // A heartbeat is not in the stream, and gets newer all the same.
  const beat = page.locator('.heartbeat time').first();
  const before = await beat.getAttribute('datetime');
  await page.waitForFunction((old) => document.querySelector('.heartbeat time').getAttribute('datetime') > old, before);
  assertClean(record);
  await context.close();
});

test('draining asks for the end of the id, by keyboard, and says why it was refused', async () => {
  const [worker] = (await workers()).filter(({ status }) => status === 'ACTIVE');
  const short = worker.id.slice(-6);
  const { page, context, record } = await signedIn(browser, '/workers');
  // The worker is needed by other tests, so this one does not reach it.
  const asked = [];
  await page.route('**/graphql', async (route) => {
    const body = route.request().postData() ?? '';
    if (!body.includes('workerDrain(')) return route.continue();
    asked.push(JSON.parse(body).variables.input);
    const workerDrain = { worker: null, userErrors: [{ message: 'The worker is gone.', __typename: 'UserError' }], __typename: 'WorkerPayload' };
    return route.fulfill({ json: { data: { workerDrain } } });
  });
  await page.getByRole('button', { name: `Drain ${worker.hostname} ${short}` }).focus();
  await page.keyboard.press('Enter');
  const dialog = page.getByRole('dialog', { name: 'Drain this worker' });
  await dialog.waitFor();
  await assertAccessible(page);
  const act = dialog.getByRole('button', { name: 'Drain the worker' });
  assert.equal(await act.isDisabled(), true);
  await page.keyboard.type(short);
  assert.equal(await act.isDisabled(), false);
  await page.keyboard.press('Enter');
  await dialog.getByRole('alert').filter({ hasText: 'The worker is gone.' }).waitFor();
  assert.deepEqual(asked, [{ id: worker.id }]);
  await page.keyboard.press('Escape');
  await dialog.waitFor({ state: 'detached' });
  assertClean(record);
  await context.close();
});

test('on a narrow screen nothing is wider than the screen', async () => {
  const { page, context, record } = await signedIn(browser, '/workers', { viewport: { width: 390, height: 800 } });
  await page.locator('tbody tr').first().waitFor();
  assert.equal(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth && document.querySelector('.main').scrollWidth <= innerWidth), true);
  await assertAccessible(page);
  assertClean(record);
  await context.close();
});

test('a VIEWER cannot drain', async () => {
  const { page, context, record, end } = await asViewer(browser, '/workers');
  await page.locator('tbody tr').first().waitFor();
  assert.equal(await page.getByRole('button', { name: /Drain/ }).count(), 0);
  await end();
  await page.getByLabel('API key', { exact: true }).waitFor();
  assertClean(record);
  await context.close();
});
