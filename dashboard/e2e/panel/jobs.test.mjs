import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { launch } from '../browser.mjs';
import { answerOf, isReady, run } from '../graphiql.mjs';
import { enqueue, enqueueMany, graphql, shell, untilFinished } from './api.mjs';
import { assertAccessible, assertClean, signedIn, textOf } from './panel.mjs';

let browser;
let quick;
const label = `e2e-${Date.now()}`;

before(async () => {
  quick = await shell('e2e-quick', 'echo done');
  const ids = await enqueueMany(quick, 130, { labels: [label] });
  await untilFinished(ids.at(-1));
  browser = await launch();
});
after(() => browser?.close());

const row = (page) => page.locator('.table-body .job-row');

test('the list is virtual, pages in, and has no violations', async () => {
  const { page, context, record } = await signedIn(browser, `/jobs?label=${label}`);
  await textOf(page.locator('.page-head [role=status]'), '130 jobs match');
  assert.ok((await row(page).count()) < 60, 'only the rows in view are in the document');
  await assertAccessible(page);
  const table = page.getByRole('table', { name: 'Jobs' });
  await table.focus();
  await page.keyboard.press('End');
  await page.waitForFunction(() => document.querySelector('.table-body').offsetHeight > 50 * 36 + 10);
  for (let turn = 0; turn < 3; turn += 1) await table.evaluate((frame) => frame.scrollTo(0, frame.scrollHeight));
  await page.waitForFunction(() => {
    const frame = document.querySelector('.table');
    frame.scrollTo(0, frame.scrollHeight);
    return document.querySelector('.table-body').offsetHeight === 130 * 36;
  });
  assert.ok((await page.locator('*').count()) < 1500);
  assertClean(record);
  await context.close();
});

test('a filter is in the address, and survives a reload and going back', async () => {
  const { page, context, record } = await signedIn(browser, `/jobs?label=${label}`);
  await page.getByRole('button', { name: 'Failed', exact: true }).click();
  await page.getByText('No job matches').waitFor();
  assert.match(page.url(), /state=FAILED/);
  await page.reload();
  await page.getByText('No job matches').waitFor();
  assert.equal(await page.getByRole('button', { name: 'Failed', exact: true }).getAttribute('aria-pressed'), 'true');
  await page.goBack();
  await row(page).first().waitFor();
  assert.doesNotMatch(page.url(), /state=/);
  await page.getByRole('button', { name: `Remove the filter Label ${label}` }).click();
  await page.waitForURL((url) => url.search === '');
  await page.getByLabel('Search by command, label or id').fill('e2e-quick');
  await page.waitForURL(/q=e2e-quick/);
  await page.getByRole('button', { name: 'Filter', exact: true }).click();
  await page.getByLabel('Value', { exact: true }).fill('e2e-qui');
  await page.getByRole('button', { name: 'e2e-quick' }).click();
  await page.waitForURL(/command=command_/);
  await page.getByText('Commande2e-quick').waitFor();
  assertClean(record);
  await context.close();
});

test('a new job is counted, and the rows do not jump', async () => {
  const { page, context, record } = await signedIn(browser, `/jobs?label=${label}`);
  await row(page).first().waitFor();
  const first = await row(page).first().getAttribute('data-job');
  const id = await enqueue(quick, { labels: [label] });
  await page.getByRole('button', { name: '1 new' }).waitFor();
  assert.equal(await row(page).first().getAttribute('data-job'), first);
  await page.getByRole('button', { name: '1 new' }).click();
  await page.locator(`[data-job="${id}"]`).waitFor();
  await page.locator(`[data-job="${id}"]`).getByText('Succeeded').waitFor();
  assertClean(record);
  await context.close();
});

test('keys move, select and open, and many jobs are cancelled with the true number', async () => {
  const later = new Date(Date.now() + 3_600_000).toISOString();
  const mark = `${label}-bulk`;
  await enqueueMany(quick, 60, { labels: [mark], runAt: later });
  const { page, context, record } = await signedIn(browser, `/jobs?label=${mark}&state=SCHEDULED`);
  await row(page).first().waitFor();
  await page.keyboard.press('j');
  await page.keyboard.press('j');
  await page.keyboard.press('x');
  await page.getByText('1 selected').waitFor();
  await page.getByRole('button', { name: 'Cancel all' }).click();
  const dialog = page.getByRole('dialog', { name: 'Cancel jobs' });
  await dialog.getByText('60 jobs', { exact: true }).waitFor();
  await dialog.getByText(`Label: ${mark}`).waitFor();
  await assertAccessible(page);
  const act = dialog.getByRole('button', { name: 'Cancel 60 jobs' });
  assert.equal(await act.isDisabled(), true);
  await dialog.getByLabel('Type 60 to confirm').fill('60');
  await act.click();
  await dialog.getByText('60 jobs were cancelled, 0 skipped').waitFor();
  await dialog.getByRole('button', { name: 'Close' }).click();
  const { jobs } = await graphql('query ($filter: JobFilter) { jobs(filter: $filter) { countAtLeast } }', {
    filter: { labels: [mark], states: ['CANCELLED'] },
  });
  assert.equal(jobs.countAtLeast, 60);
  await page.keyboard.press('j');
  await page.keyboard.press('o');
  await page.waitForURL(/\/jobs\/job_/);
  assertClean(record);
  await context.close();
});

test('the palette finds a job by its id', async () => {
  const { jobs } = await graphql('query ($filter: JobFilter) { jobs(first: 1, filter: $filter) { nodes { id } } }', { filter: { labels: [label] } });
  const { page, context, record } = await signedIn(browser, '/settings');
  await page.getByRole('heading', { name: 'Settings' }).waitFor();
  await page.keyboard.press('Control+k');
  await page.getByRole('combobox', { name: 'Go to' }).fill(jobs.nodes[0].id);
  await page.getByRole('option', { name: /e2e-quick, Succeeded/ }).waitFor();
  await assertAccessible(page);
  await page.keyboard.press('Enter');
  await page.waitForURL(new RegExp(jobs.nodes[0].id));
  await page.keyboard.press('g');
  await page.keyboard.press('j');
  await page.waitForURL(/\/jobs$/);
  assertClean(record);
  await context.close();
});

test('the query of the page opens in the playground, and does not run by itself', async () => {
  const { page, context, record } = await signedIn(browser, `/jobs?label=${label}`);
  await row(page).first().waitFor();
  await page.getByRole('link', { name: 'Show the query' }).click();
  await page.waitForURL((url) => url.pathname === '/playground' && url.hash === '');
  await isReady(page);
  await page.locator('.graphiql-query-editor .view-lines').getByText(/query\sJobs\b/).waitFor();
  const sent = () => record.posts.filter((body) => body.includes('query Jobs(')).length;
  const before = sent();
  await run(page);
  await answerOf(page, label);
  assert.equal(before, 1, 'only the page of jobs has sent it');
  assert.equal(sent(), 2, 'it ran when it was told to');
  assertClean(record);
  await context.close();
});
