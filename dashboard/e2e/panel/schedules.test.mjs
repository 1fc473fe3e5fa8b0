import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { launch } from '../browser.mjs';
import { graphql, shell, until } from './api.mjs';
import { assertAccessible, assertClean, signedIn } from './panel.mjs';
import { asViewer } from './roles.mjs';

const mark = `e2e-${Date.now()}`;
const SECRET = `hush-${Date.now()}`;
const made = [];
let browser;
let quick;

async function schedule(name, cron, rest = {}) {
  const create = 'mutation ($input: ScheduleCreateInput!) { scheduleCreate(input: $input) { schedule { id name upcoming } userErrors { message } } }';
  const { scheduleCreate } = await graphql(create, { input: { name: `${mark}-${name}`, cron, job: { commandId: quick }, ...rest } });
  assert.deepEqual(scheduleCreate.userErrors, []);
  made.push(scheduleCreate.schedule.id);
  return scheduleCreate.schedule;
}
const stored = async (name) => (await graphql('query ($name: String) { schedule(name: $name) { id name cron timezone overlap isPaused version lastRunAt job { input priority labels } } }', { name })).schedule;

before(async () => {
  quick = await shell('e2e-quick', 'echo done');
  await shell('e2e-secret', 'echo done', {
    inputSchema: { type: 'object', properties: { token: { type: 'string', writeOnly: true } }, required: ['token'] },
  });
  browser = await launch();
});
after(async () => {
  await browser?.close();
  for (const id of made) await graphql('mutation ($input: ScheduleDeleteInput!) { scheduleDelete(input: $input) { userErrors { message } } }', { input: { id } });
});

const card = (page, name) => page.locator('.schedule', { has: page.getByRole('heading', { name, exact: true }) });

test('the next five runs are in the chosen zone, and a schedule is paused and resumed by keyboard', async () => {
  const { name, upcoming } = await schedule('nightly', '30 2 * * *', { timezone: 'Europe/Berlin', overlap: 'CANCEL_RUNNING' });
  const { page, context, record } = await signedIn(browser, `/schedules?q=${mark}`, { timezoneId: 'Asia/Tokyo' });
  const times = card(page, name).locator('.schedule-next ol > li > time');
  await times.first().waitFor();
  const inTokyo = new Intl.DateTimeFormat('sv-SE', { dateStyle: 'short', timeStyle: 'medium', timeZone: 'Asia/Tokyo' });
  assert.deepEqual(await times.allInnerTexts(), upcoming.map((at) => inTokyo.format(new Date(at))));
  await page.getByText('Times are in Asia/Tokyo.').waitFor();
  await card(page, name).getByText('cancel it, and enqueue another job').waitFor();
  await assertAccessible(page);
  await page.getByRole('button', { name: `Pause ${name}` }).focus();
  await page.keyboard.press('Enter');
  await card(page, name).getByText('none while it is paused').waitFor();
  assert.equal((await stored(name)).isPaused, true);
  await assertAccessible(page);
  await page.getByRole('button', { name: `Resume ${name}` }).focus();
  await page.keyboard.press('Enter');
  await times.nth(4).waitFor();
  assert.equal((await stored(name)).isPaused, false);
  assertClean(record);
  await context.close();
});

test('the last job has its state, and leads to its page', async () => {
  const { name } = await schedule('often', '* * * * * *');
  await until('a run', async () => (await stored(name)).lastRunAt);
  const { page, context, record } = await signedIn(browser, `/schedules?q=${name}`);
  await card(page, name).locator('.last-job').click();
  await page.waitForURL(/\/jobs\/job_/);
  await page.goBack();
  await page.getByRole('link', { name: `Jobs of ${name}` }).click();
  await page.waitForURL(/\/jobs\?schedule=schedule_/);
  assertClean(record);
  await context.close();
});

test('the week is a calendar, and says what it does not show', async () => {
  const { name } = await schedule('minutes', '* * * * *');
  const { page, context, record } = await signedIn(browser, `/schedules?q=${name}`);
  await page.getByRole('link', { name: 'Week', exact: true }).click();
  await page.waitForURL(/view=week/);
  await page.getByText(/only its next 100 runs are shown/).waitFor();
  assert.equal(await page.locator('.week-day').count(), 7);
  await page.locator('.week-entry').filter({ hasText: name }).first().waitFor();
  assert.equal(await page.getByRole('link', { name: 'Week', exact: true }).getAttribute('aria-current'), 'page');
  assert.equal(await page.getByRole('link', { name: 'List', exact: true }).getAttribute('aria-current'), null);
  await assertAccessible(page);
  await page.setViewportSize({ width: 390, height: 800 });
  assert.equal(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth && document.querySelector('.main').scrollWidth <= innerWidth), true);
  await assertAccessible(page);
  assertClean(record);
  await context.close();
});

test('a schedule is made by keyboard, errors stand at their fields, and its secret never comes back', async () => {
  const name = `${mark}-secret`;
  const { page, context, record } = await signedIn(browser, '/settings');
  const received = [];
  page.on('websocket', (socket) => socket.on('framereceived', ({ payload }) => received.push(String(payload))));
  page.on('response', async (response) => {
    if (response.url().endsWith('/graphql')) received.push(await response.text().catch(() => ''));
  });
  await page.getByRole('heading', { name: 'Settings' }).waitFor();
  await page.keyboard.press('g');
  await page.keyboard.press('s');
  await page.getByRole('button', { name: 'New schedule' }).waitFor();
  await page.keyboard.press('n');
  const dialog = page.getByRole('dialog', { name: 'New schedule' });
  await dialog.getByLabel('Name', { exact: true }).waitFor();
  await assertAccessible(page);
  await dialog.getByLabel('Name', { exact: true }).fill(name);
  await dialog.getByLabel('Pattern', { exact: true }).fill('61 * * * *');
  await dialog.getByLabel('Command that it runs').fill('e2e-secret');
  await dialog.getByLabel('Input').fill(`{"token": "${SECRET}"`);
  await page.keyboard.press('Tab');
  await dialog.getByLabel('Queue').press('Enter');
  await dialog.getByRole('alert').filter({ hasText: 'Give an object in JSON' }).waitFor();
  await dialog.getByLabel('Input').fill(`{"token": "${SECRET}"}`);
  await dialog.getByLabel('Priority').selectOption('9');
  await dialog.getByLabel('Labels').fill('a, b');
  await page.keyboard.press('Enter');
  const pattern = dialog.getByLabel('Pattern', { exact: true });
  await dialog.locator('.field', { has: page.getByLabel('Pattern', { exact: true }) }).getByRole('alert').filter({ hasText: /./ }).waitFor();
  assert.equal(await pattern.getAttribute('aria-invalid'), 'true');
  await assertAccessible(page);
  await pattern.fill('15 3 * * MON');
  await page.keyboard.press('Enter');
  await page.getByRole('status').filter({ hasText: `${name} is made.` }).waitFor();
  await dialog.waitFor({ state: 'detached' });
  await card(page, name).getByText('15 3 * * MON').waitFor();
  const { id, job } = await stored(name);
  made.push(id);
  assert.deepEqual([job.input, job.priority, job.labels], [{ token: '***' }, 9, ['a', 'b']]);
  await page.getByRole('link', { name: `Edit ${name}` }).click();
  await page.getByRole('dialog', { name: 'Change the schedule' }).getByLabel('Name', { exact: true }).waitFor();
  const everywhere = await page.evaluate(() => [
    document.documentElement.outerHTML,
    ...[...document.querySelectorAll('input, textarea')].map(({ value }) => value),
    JSON.stringify([{ ...localStorage }, { ...sessionStorage }, document.cookie, location.href]),
  ]);
  assert.ok(![...everywhere, ...received].some((text) => text.includes(SECRET)), 'the secret does not come back');
  assertClean(record);
  await context.close();
});

test('a schedule is changed, and a change that somebody else has made is not overwritten', async () => {
  const { id, name } = await schedule('edit', '0 5 * * *');
  const { page, context, record } = await signedIn(browser, `/schedules?q=${name}`);
  await page.getByRole('link', { name: `Edit ${name}` }).click();
  const dialog = page.getByRole('dialog', { name: 'Change the schedule' });
  await dialog.getByLabel('Pattern', { exact: true }).fill('0 6 * * *');
  await graphql('mutation ($input: ScheduleUpdateInput!) { scheduleUpdate(input: $input) { userErrors { message } } }', { input: { id, timezone: 'Asia/Tokyo' } });
  await dialog.getByRole('button', { name: 'Save' }).click();
  await dialog.getByRole('button', { name: 'Read it again' }).click();
  await page.waitForFunction(() => [...document.querySelectorAll('[role=dialog] input')].some(({ value }) => value === 'Asia/Tokyo'));
  await dialog.getByLabel('Pattern', { exact: true }).fill('0 6 * * *');
  await page.keyboard.press('Enter');
  await dialog.waitFor({ state: 'detached' });
  await card(page, name).getByText('0 6 * * *').waitFor();
  const found = await stored(name);
  assert.deepEqual([found.cron, found.timezone], ['0 6 * * *', 'Asia/Tokyo']);
  assertClean(record);
  await context.close();
});

test('the palette finds a schedule by a part of its name', async () => {
  const { name } = await schedule('found', '@yearly');
  const { page, context, record } = await signedIn(browser, '/settings');
  await page.getByRole('heading', { name: 'Settings' }).waitFor();
  await page.keyboard.press('Control+k');
  await page.getByRole('combobox', { name: 'Go to' }).fill(`${mark}-fou`);
  await page.getByRole('option', { name: `Schedule ${name}` }).waitFor();
  await page.keyboard.press('Enter');
  await card(page, name).waitFor();
  assertClean(record);
  await context.close();
});

test('a VIEWER sees the schedules, and nothing to change them', async () => {
  const { id, name } = await schedule('seen', '@yearly');
  const { page, context, record, end } = await asViewer(browser, `/schedules?q=${name}&edit=${id}`);
  await card(page, name).waitFor();
  assert.equal(await page.getByRole('button', { name: /Pause|Resume|New/ }).count(), 0);
  assert.equal(await page.getByRole('link', { name: /Edit/ }).count(), 0);
  assert.equal(await page.getByRole('dialog').count(), 0);
  await end();
  await page.getByLabel('API key', { exact: true }).waitFor();
  assertClean(record);
  await context.close();
});
