import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { launch } from '../browser.mjs';
import { cancel, enqueueMany, graphql, shell } from './api.mjs';
import { assertAccessible, assertClean, signedIn } from './panel.mjs';
import { asViewer } from './roles.mjs';

// No worker serves it, so its jobs stay.
const NAME = 'e2e-unserved';
let browser;
let ids;

const input = 'mutation ($name: String!) { queueResume(input: { name: $name }) { queue { id } } queueUpdate(input: { name: $name, maxConcurrency: null }) { queue { id } } }';
before(async () => {
  ids = await enqueueMany(await shell('e2e-quick', 'echo done'), 3, { queue: NAME });
  await graphql(input, { name: NAME });
  browser = await launch();
});
after(async () => {
  for (const id of ids) await cancel(id);
  await browser?.close();
});

const stored = async () => (await graphql('{ queues { name isPaused maxConcurrency counts { queued } } }')).queues.find(({ name }) => name === NAME);

test('a queue is found in the list, and its numbers lead to its jobs', async () => {
  const { page, context, record } = await signedIn(browser, '/queues');
  const row = page.getByRole('row', { name: new RegExp(NAME) });
  await row.getByText('none', { exact: true }).waitFor();
  await assertAccessible(page);
  await row.getByRole('link', { name: NAME, exact: true }).click();
  await page.waitForURL(new RegExp(`/queues/${NAME}$`));
  await page.getByText('No active worker serves this queue').waitFor();
  const { counts } = await stored();
  await page.getByRole('link', { name: `${counts.queued} queued jobs of ${NAME}` }).click();
  await page.waitForURL((url) => url.searchParams.get('state') === 'QUEUED' && url.searchParams.get('queue') === NAME);
  await page.locator('.page-head [role=status]').filter({ hasText: `${counts.queued} jobs match` }).waitFor();
  assertClean(record);
  await context.close();
});

test('a queue is paused, resumed and limited by keyboard', async () => {
  const { page, context, record } = await signedIn(browser, `/queues/${NAME}`);
  await page.getByRole('button', { name: 'Pause' }).focus();
  await page.keyboard.press('Enter');
  await page.getByRole('status').filter({ hasText: `${NAME} is paused.` }).waitFor();
  await page.locator('.page-head').getByText('Paused', { exact: true }).waitFor();
  assert.equal((await stored()).isPaused, true);
  await assertAccessible(page);
  await page.getByRole('button', { name: 'Resume' }).focus();
  await page.keyboard.press('Enter');
  await page.getByRole('button', { name: 'Pause' }).waitFor();
  assert.equal((await stored()).isPaused, false);

  const limit = page.getByLabel('Most jobs that run at once');
  await limit.fill('0');
  await page.keyboard.press('Enter');
  await page.getByRole('alert').filter({ hasText: 'whole number from 1' }).waitFor();
  assert.equal(await limit.getAttribute('aria-invalid'), 'true');
  await assertAccessible(page);
  await limit.fill('7');
  await page.keyboard.press('Enter');
  await page.getByRole('status').filter({ hasText: `At most 7 jobs of ${NAME}` }).waitFor();
  assert.equal((await stored()).maxConcurrency, 7);
  await limit.fill('');
  await page.keyboard.press('Enter');
  await page.getByRole('status').filter({ hasText: 'has no limit now' }).waitFor();
  assert.equal((await stored()).maxConcurrency, null);
  assertClean(record);
  await context.close();
});

test('the charts have waits, and the span is in the address', async () => {
  const { page, context, record } = await signedIn(browser, '/queues/default?span=6h', { viewport: { width: 390, height: 800 } });
  await page.getByRole('region', { name: 'Wait until started', exact: true }).waitFor();
  await page.locator('.plot canvas').nth(2).waitFor();
  assert.equal(await page.getByRole('link', { name: '6 hours' }).getAttribute('aria-current'), 'page');
  assert.equal(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth && document.querySelector('.main').scrollWidth <= innerWidth), true);
  await assertAccessible(page);
  assertClean(record);
  await context.close();
});

test('a queue that is not there says so', async () => {
  const { page, context, record } = await signedIn(browser, '/queues/no-such-queue');
  await page.getByText('There is no such queue').waitFor();
  await assertAccessible(page);
  assertClean(record);
  await context.close();
});

test('a VIEWER sees the numbers, and nothing to change them', async () => {
  const { page, context, record, end } = await asViewer(browser, `/queues/${NAME}`);
  await page.getByText('no limit').waitFor();
  assert.equal(await page.getByRole('button', { name: /Pause|Resume|Save/ }).count(), 0);
  await end();
  await page.getByLabel('API key', { exact: true }).waitFor();
  assertClean(record);
  await context.close();
});

test('when the server does not answer, the numbers stay under a banner', async () => {
  const { page, context } = await signedIn(browser, `/queues/${NAME}`);
  await page.locator('.plot canvas').nth(2).waitFor();
  await page.route('**/graphql', (route) => route.abort());
  await page.getByRole('link', { name: '6 hours' }).click();
  await page.getByRole('alert').filter({ hasText: 'The server did not answer.' }).first().waitFor();
  await page.getByRole('link', { name: new RegExp(`queued jobs of ${NAME}`) }).waitFor();
  await page.unroute('**/graphql');
  await page.getByRole('button', { name: 'Try again' }).first().click();
  await page.locator('.plot canvas').nth(2).waitFor();
  await context.close();
});
