import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { launch } from '../browser.mjs';
import { cancel, enqueue, graphql, shell, untilFinished } from './api.mjs';
import { assertAccessible, assertClean, signedIn, textOf } from './panel.mjs';

let browser;
let waiting;
let quick;
before(async () => {
  quick = await shell('e2e-quick', 'echo done');
  await untilFinished(await enqueue(quick));
  waiting = await enqueue(quick, { runAt: new Date(Date.now() + 3_600_000).toISOString() });
  browser = await launch();
});
after(async () => {
  await cancel(waiting);
  await browser?.close();
});

const tile = (page, name) => page.locator('.tile', { has: page.getByText(name, { exact: true }) });

test('the address without a path is the overview, whose numbers lead to what they count', async () => {
  const { page, context, record } = await signedIn(browser, '/');
  await page.getByRole('heading', { name: 'Overview' }).waitFor();
  const { queues } = await graphql('{ queues { counts { scheduled } } }');
  const scheduled = queues.reduce((sum, { counts }) => sum + counts.scheduled, 0);
  await textOf(tile(page, 'Scheduled'), new RegExp(String(scheduled)));
  await page.locator('.plot canvas').nth(1).waitFor();
  await assertAccessible(page);
  await tile(page, 'Scheduled').getByRole('link').click();
  await page.waitForURL(/\/jobs\?state=SCHEDULED$/);
  await textOf(page.locator('.page-head [role=status]'), new RegExp(`^${scheduled} jobs? match`));
  await page.goBack();
  await tile(page, 'Oldest queued').waitFor();
  await tile(page, 'Slots wanted').getByRole('link').click();
  await page.waitForURL(/\/workers$/);
  assertClean(record);
  await context.close();
});

test('numbers change by themselves', async () => {
  const { page, context, record } = await signedIn(browser, '/');
  const number = tile(page, 'Scheduled').getByRole('link');
  await number.waitFor();
  await page.locator('.badge[data-freshness=live]').waitFor();
  const before = Number((await number.innerText()).replaceAll(',', ''));
  const id = await enqueue(quick, { runAt: new Date(Date.now() + 3_600_000).toISOString() });
  await number.filter({ hasText: (before + 1).toLocaleString('en') }).waitFor();
  await cancel(id);
  await number.filter({ hasText: before.toLocaleString('en') }).waitFor();
  assertClean(record);
  await context.close();
});

test('how far back the charts show is in the address, and each is a table too, by keyboard', async () => {
  const { page, context, record } = await signedIn(browser, '/', { timezoneId: 'Asia/Tokyo' });
  await page.getByRole('link', { name: '7 days' }).focus();
  await page.keyboard.press('Enter');
  await page.waitForURL(/\/\?span=7d$/);
  await page.reload();
  const chart = page.getByRole('region', { name: 'Jobs per 2 hours', exact: true });
  await chart.getByRole('img', { name: /In the last 7 days: [\d,]+ enqueued/ }).waitFor();
  await chart.getByRole('button', { name: 'Show as a table' }).focus();
  await page.keyboard.press('Enter');
  const rows = page.getByRole('region', { name: 'Jobs per 2 hours as a table' }).locator('tbody tr');
  await rows.first().waitFor();
  const start = rows.first().locator('time');
  const inTokyo = new Intl.DateTimeFormat('sv-SE', { dateStyle: 'short', timeStyle: 'medium', timeZone: 'Asia/Tokyo' });
  assert.equal(await start.innerText(), inTokyo.format(new Date(await start.getAttribute('title'))));
  await assertAccessible(page);
  assertClean(record);
  await context.close();
});

test('on a narrow screen nothing is wider than the screen', async () => {
  const { page, context, record } = await signedIn(browser, '/', { viewport: { width: 390, height: 800 } });
  await page.locator('.plot canvas').nth(1).waitFor();
  await page.getByRole('region', { name: 'Queues', exact: true }).waitFor();
  assert.equal(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth && document.querySelector('.main').scrollWidth <= innerWidth), true);
  await assertAccessible(page);
  assertClean(record);
  await context.close();
});

test('the keys g o and g q lead to the overview and the queues', async () => {
  const { page, context, record } = await signedIn(browser, '/settings');
  await page.getByRole('heading', { name: 'Settings' }).waitFor();
  await page.keyboard.press('g');
  await page.keyboard.press('o');
  await page.getByRole('heading', { name: 'Overview' }).waitFor();
  await page.keyboard.press('g');
  await page.keyboard.press('q');
  await page.waitForURL(/\/queues$/);
  assertClean(record);
  await context.close();
});
