import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { launch } from '../browser.mjs';
import { cancel, COLOURS, enqueue, NOISE, shell, untilFinished, untilState, URL_OF_PAGES } from './api.mjs';
import { assertAccessible, assertClean, signedIn, textOf } from './panel.mjs';

let browser;
let noise;
let colours;
let ticking;

before(async () => {
  noise = await enqueue(await shell('e2e-noise', NOISE));
  colours = await enqueue(await shell('e2e-colours', COLOURS));
  ticking = await enqueue(await shell('e2e-tick', 'for i in $(seq 1 3000); do echo "tick $i"; sleep 0.1; done'), { priority: 9 });
  await Promise.all([untilFinished(noise), untilFinished(colours), untilState(ticking, 'RUNNING')]);
  browser = await launch();
});
after(async () => {
  await cancel(ticking);
  await browser?.close();
});

const proof = (page) => page.getByTestId('proof');
const count = async (page) => Number(/ to ([\d,]+)/.exec(await proof(page).innerText())?.[1].replace(',', '') ?? 0);
const lines = (page) => page.locator('.log-row');

test('a log of 50,000 lines is proven whole, is virtual, and is searched', async () => {
  const { page, context, record } = await signedIn(browser, `/jobs/${noise}?tab=log`);
  // Callboard itself writes the first line and the last one.
  await textOf(proof(page), /^1 to 50,002, 0 missing$/);
  assert.ok((await lines(page).count()) < 120);
  await page.getByText('line 50000: the quick brown fox').waitFor();
  await page.keyboard.press('/');
  await page.getByLabel('Search the log').fill('LINE 4999');
  await page.getByText('hit 1 of 11').waitFor();
  await page.locator('.hit[data-now]').waitFor();
  await page.keyboard.press('Enter');
  await page.getByText('hit 2 of 11').waitFor();
  await page.locator('[data-line="49991"] .hit[data-now]').waitFor();
  assert.ok((await lines(page).count()) < 120);
  assertClean(record);
  await context.close();
});

test('a link to a range of lines shows it', async () => {
  const { page, context, record } = await signedIn(browser, `/jobs/${noise}?tab=log#L25000-L25004`);
  await page.locator('[data-line="25002"]').getByText('line 25001:').waitFor();
  assert.equal(await page.locator('.log-row[data-marked]').count(), 5);
  assert.equal(await page.getByRole('button', { name: 'Follow' }).getAttribute('aria-pressed'), 'false');
  await page.getByRole('link', { name: 'Line 25010', exact: true }).click();
  await page.waitForURL(/#L25010$/);
  assertClean(record);
  await context.close();
});

test('a running log is followed, stops when scrolled up, and has no gap after a hidden tab', async () => {
  const { page, context, record } = await signedIn(browser, `/jobs/${ticking}?tab=log`);
  const frame = page.locator('.log-frame');
  const atEnd = () => frame.evaluate(({ scrollTop, scrollHeight, clientHeight }) => scrollHeight - scrollTop - clientHeight < 60);
  await page.waitForFunction(() => {
    const found = document.querySelector('.log-frame');
    return found && found.scrollHeight > found.clientHeight + 200;
  });
  assert.equal(await atEnd(), true);
  await frame.hover();
  await page.mouse.wheel(0, -150);
  await page.getByRole('button', { name: 'Follow', pressed: false }).waitFor();
  const top = await frame.evaluate((one) => one.scrollTop);
  const before = await count(page);
  await page.waitForFunction((count) => Number(document.querySelector('[data-testid=proof]').textContent.match(/ to ([\d,]+)/)[1].replace(',', '')) > count + 5, before);
  assert.equal(await frame.evaluate((one) => one.scrollTop), top, 'nothing moves while somebody reads');
  // A hidden tab gets nothing, and goes on where it stopped.
  const show = (isHidden) =>
    page.evaluate((hidden) => {
      Object.defineProperty(document, 'hidden', { configurable: true, get: () => hidden });
      document.dispatchEvent(new Event('visibilitychange'));
    }, isHidden);
  await show(true);
  const paused = await count(page);
  await show(false);
  await page.waitForFunction((count) => Number(document.querySelector('[data-testid=proof]').textContent.match(/ to ([\d,]+)/)[1].replace(',', '')) > count + 10, paused);
  assert.match(await proof(page).innerText(), /^1 to [\d,]+, 0 missing/);
  await page.keyboard.press('f');
  await page.getByRole('button', { name: 'Follow', pressed: true }).waitFor();
  await assertAccessible(page);
  assertClean(record);
  await context.close();
});

test('a broken connection leaves no gap and repeats no line', async () => {
  const { page, context, record } = await signedIn(browser, '/settings');
  const sockets = [];
  await page.routeWebSocket(/\/graphql$/, (socket) => {
    socket.connectToServer();
    sockets.push(socket);
  });
  await page.goto(`${URL_OF_PAGES}/jobs/${ticking}?tab=log`);
  const grown = async (by) => {
    const before = await count(page);
    await page.waitForFunction(([least, text]) => Number(document.querySelector(text)?.textContent.match(/ to ([\d,]+)/)?.[1].replace(',', '')) > least, [
      before + by,
      '[data-testid=proof]',
    ]);
  };
  await page.getByTestId('proof').filter({ hasText: / to / }).waitFor();
  await grown(3);
  for (let turn = 1; turn <= 3; turn += 1) {
    await sockets.at(-1).close({ code: 1001, reason: 'The test has cut it.' });
    await page.waitForFunction(() => document.querySelector('.badge').dataset.freshness === 'reconnecting');
    await page.waitForFunction(() => document.querySelector('.badge').dataset.freshness === 'live');
    await grown(5);
  }
  assert.ok(sockets.length >= 4);
  assert.match(await proof(page).innerText(), /^1 to [\d,]+, 0 missing$/);
  // The numbers of the lines in view follow each other.
  const numbers = await lines(page).evaluateAll((all) => all.map((one) => Number(one.dataset.line)).sort((a, b) => a - b));
  assert.deepEqual(numbers, numbers.map((_, i) => numbers[0] + i));
  assertClean(record);
  await context.close();
});

test('colours can be read, and streams and times can be chosen', async () => {
  const { page, context, record } = await signedIn(browser, `/jobs/${colours}?tab=log`);
  await page.locator('[data-stream=STDERR]').waitFor();
  await assertAccessible(page);
  await page.getByRole('button', { name: 'stdout' }).click();
  await page.getByText('the end', { exact: true }).waitFor({ state: 'detached' });
  await page.getByRole('button', { name: 'Times' }).click();
  await page.locator('.log-time').first().waitFor();
  assertClean(record);
  await context.close();
});

test('every tab has no violations, and is in the address', async () => {
  const { page, context, record } = await signedIn(browser, `/jobs/${colours}`);
  for (const [tab, name] of [['', 'Timeline'], ['result', 'Result'], ['files', 'Files'], ['composed', 'Composed'], ['events', 'Events']]) {
    await page.getByRole('navigation', { name: 'Of this job' }).getByRole('link', { name, exact: true }).click();
    await page.getByRole('region', { name, exact: true }).first().waitFor();
    assert.equal(new URL(page.url()).searchParams.get('tab') ?? '', tab);
    await assertAccessible(page);
  }
  await page.reload();
  await page.getByRole('region', { name: 'Events' }).waitFor();
  assertClean(record);
  await context.close();
});

test('a job is cancelled with a reason, which stands in its events', async () => {
  const id = await enqueue(await shell('e2e-quick', 'echo done'), { runAt: new Date(Date.now() + 3_600_000).toISOString() });
  const { page, context, record } = await signedIn(browser, `/jobs/${id}`);
  await page.getByText('RUN_AT').waitFor();
  await page.keyboard.press('.');
  await page.getByLabel('Reason, recorded in its history').fill('No longer wanted.');
  await page.getByRole('button', { name: 'Cancel the job' }).click();
  await page.locator('.page-head').getByText('Cancelled').waitFor();
  await page.getByRole('link', { name: 'Events' }).click();
  await page.getByText('No longer wanted.').first().waitFor();
  assertClean(record);
  await context.close();
});
