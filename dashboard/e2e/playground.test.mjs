import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, test } from 'node:test';
import { launch, openPage } from './browser.mjs';
import { KEY, startFixture } from './fixture/server.mjs';
import { answerOf, isReady, messages, openTab, run, setText, status } from './graphiql.mjs';

const options = { timeout: 300_000 };
let browser;
let fixture;
let page;
let context;
let record;

before(async () => {
  browser = await launch();
});

after(async () => {
  await browser?.close();
});

beforeEach(async () => {
  fixture = await startFixture({ pace: null });
  ({ page, context, record } = await openPage(browser, fixture.origin));
});

/** After every test: no request left this origin, and no policy was violated. */
afterEach(async () => {
  await context.close();
  await fixture.close();
  assert.deepEqual(record.foreign, []);
  assert.deepEqual(record.violations, []);
  assert.deepEqual(record.errors.filter((error) => !/status of 401/.test(error)), []);
});

const goTo = async (path) => {
  await page.goto(fixture.origin + path);
  await isReady(page);
};

const stored = () => page.evaluate(() => ({ local: JSON.stringify(localStorage), session: JSON.stringify(sessionStorage) }));

test('a key in the fragment signs in, leaves the address bar, and reads schema and data', options, async () => {
  await goTo(`/playground#key=${KEY}`);
  await status(page, 'Signed in: fixture · ADMIN');
  assert.equal(page.url(), `${fixture.origin}/playground`);

  await page.getByLabel('Show Documentation Explorer').click();
  const docs = page.locator('.graphiql-plugin');
  await docs.getByText('JobEnqueueInput', { exact: true }).waitFor();
  await docs.getByText('Job', { exact: true }).click();
  await docs.getByText('A piece of work, accepted by a committed row.').waitFor();

  await run(page);
  await answerOf(page, 'demo-browser');
  assert.match(fixture.seen.requests.at(-1).cookie, /^callboard=cbs_/);
  assert.equal(fixture.seen.requests.at(-1).authorization, undefined);

  await page.getByLabel('Show History').click();
  await page.locator('.graphiql-history-item').getByText('Commands').waitFor();

  const { local, session } = await stored();
  assert.ok(!session.includes(KEY) && !local.includes(KEY), 'the key is kept nowhere');
  assert.equal(await page.evaluate(() => document.cookie), '', 'no script can read the cookie');
});

test('a typed key signs in, the session survives a reload and can be ended', options, async () => {
  await goTo('/playground');
  await status(page, 'Not signed in');
  const field = page.getByLabel('API key');

  await field.fill('cb_wrong');
  await page.getByRole('button', { name: 'Sign in' }).click();
  await status(page, 'Key refused');

  await field.fill(KEY);
  await field.press('Enter');
  await status(page, 'Signed in: fixture · ADMIN');
  await field.waitFor({ state: 'detached' });

  await page.reload();
  await isReady(page);
  await status(page, 'Signed in: fixture · ADMIN');

  await page.getByRole('button', { name: 'Sign out' }).click();
  await status(page, 'Not signed in');
  assert.deepEqual(await context.cookies(), []);
  await run(page);
  await answerOf(page, 'UNAUTHENTICATED');
});

test('the headers editor wins over the session, and no secret reaches local storage', options, async () => {
  await goTo(`/playground#key=${KEY}`);
  await status(page, 'Signed in: fixture · ADMIN');
  await openTab(page, 'Enqueue');
  const token = 'tok_never_to_be_stored';
  await setText(page, 'Variables', JSON.stringify({ input: { commandId: 'none' }, token }));
  await setText(page, 'Headers', JSON.stringify({ 'X-Extra': 'one' }));
  await run(page);
  await answerOf(page, 'NOT_FOUND');
  assert.equal(fixture.seen.requests.at(-1)['x-extra'], 'one');
  assert.match(fixture.seen.requests.at(-1).cookie, /^callboard=cbs_/);

  await setText(page, 'Headers', JSON.stringify({ Authorization: 'Bearer cb_other' }));
  await run(page);
  await answerOf(page, 'UNAUTHENTICATED');
  assert.equal(fixture.seen.requests.at(-1).authorization, 'Bearer cb_other');

  // GraphiQL saves its tabs a moment later, and at the latest when the tab changes.
  await openTab(page, 'Commands');
  await page.waitForFunction(() => localStorage.getItem('graphiql:tabState')?.includes('***'));
  const { local } = await stored();
  assert.ok(!local.includes('cb_other') && !local.includes(token), 'neither headers nor a token are stored');
});

test('from the default tabs to a live stream that survives a broken socket', options, async () => {
  await goTo(`/playground#key=${KEY}`);
  await status(page, 'Signed in: fixture · ADMIN');
  await openTab(page, 'Enqueue');
  await run(page);
  await answerOf(page, 'QUEUED');
  const [job] = fixture.store.jobs.values();
  assert.equal(job.command.name, 'demo-program', 'the tab knew the id of the demo command');
  assert.deepEqual(job.labels, ['playground']);

  await openTab(page, 'WatchJob');
  await setText(page, 'Variables', JSON.stringify({ jobId: job.id }));
  await run(page);
  const stream = page.getByLabel('Subscription', { exact: true });
  await stream.getByText('1 message').waitFor();
  await stream.getByText('Live').waitFor();
  assert.deepEqual(fixture.seen.inits, [{}], 'the socket is signed in by the cookie');

  for (let step = 0; step < 3; step += 1) fixture.store.advance(job);
  await stream.getByText('4 messages').waitFor();
  await answerOf(page, '2 of 10');

  fixture.dropSockets();
  fixture.store.advance(job);
  fixture.store.advance(job);
  await stream.getByText('6 messages').waitFor();
  await stream.getByText('Live').waitFor();
  assert.equal(fixture.seen.inits.length, 2, 'it reconnected on a new socket');

  while (job.state === 'RUNNING') fixture.store.advance(job);
  await stream.getByText('Complete').waitFor();
  const events = (await messages(page)).map(({ jobEvents }) => jobEvents);
  assert.deepEqual(events.map(({ version }) => version), Array.from({ length: 13 }, (_, i) => i + 1), 'no version lost or repeated');
  assert.deepEqual([events[0].kind, events.at(-1).kind], ['SNAPSHOT', 'SUCCEEDED']);
  assert.equal(new URL(record.sockets[0]).pathname, '/graphql');

  await openTab(page, 'FollowLog');
  await setText(page, 'Variables', JSON.stringify({ jobId: job.id }));
  await run(page);
  await stream.getByText('Complete').waitFor();
  const lines = (await messages(page)).flatMap(({ jobLog }) => jobLog.lines.map(({ sequence }) => sequence));
  assert.deepEqual(lines, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
});

test('a stream can be stopped, and a refused stream shows the reason', options, async () => {
  await goTo(`/playground#key=${KEY}`);
  await status(page, 'Signed in: fixture · ADMIN');
  await openTab(page, 'WatchJobs');
  await run(page);
  const stream = page.getByLabel('Subscription', { exact: true });
  await stream.getByText('1 message').waitFor();
  await page.locator('.graphiql-execute-button[aria-label^="Stop"]').click();
  await stream.getByText('Stopped').waitFor();

  await setText(page, 'Headers', JSON.stringify({ authorization: 'Bearer cb_other' }));
  await run(page);
  await stream.getByText('Failed: The server closed the socket: 4403 Forbidden').waitFor();
  await answerOf(page, '4403');
});

test('the default tabs run as they are: their ids are looked up', options, async () => {
  await goTo(`/playground#key=${KEY}`);
  await status(page, 'Signed in: fixture · ADMIN');
  await openTab(page, 'WatchJob');
  await run(page);
  const stream = page.getByLabel('Subscription', { exact: true });
  await stream.getByText('There is no job yet. Run the Enqueue tab first.').waitFor();

  await openTab(page, 'Enqueue');
  await run(page);
  await answerOf(page, 'QUEUED');
  const [job] = fixture.store.jobs.values();
  for (const name of ['WatchJob', 'FollowLog']) {
    await openTab(page, name);
    await run(page);
    await stream.getByText('Live').waitFor();
    await page.locator('.graphiql-execute-button[aria-label^="Stop"]').click();
    await stream.getByText('Stopped').waitFor();
  }
  await openTab(page, 'WatchJob');
  await run(page);
  await stream.getByText('1 message').waitFor();
  const [{ jobEvents }] = await messages(page);
  assert.deepEqual([jobEvents.kind, jobEvents.version], ['SNAPSHOT', job.version]);
});

test('the end of a stream is not shown for another operation', options, async () => {
  await goTo(`/playground#key=${KEY}`);
  await status(page, 'Signed in: fixture · ADMIN');
  await openTab(page, 'Enqueue');
  await run(page);
  await answerOf(page, 'QUEUED');
  const [job] = fixture.store.jobs.values();
  await openTab(page, 'WatchJob');
  await run(page);
  const stream = page.getByLabel('Subscription', { exact: true });
  await stream.getByText('1 message').waitFor();
  do fixture.store.advance(job);
  while (job.state === 'RUNNING');
  await stream.getByText('Complete').waitFor();
  await openTab(page, 'Commands');
  await stream.waitFor({ state: 'detached' });

  await openTab(page, 'WatchJob');
  await run(page);
  await stream.getByText('Complete').waitFor();
  await setText(page, 'Variables', JSON.stringify({ jobId: job.id }));
  await stream.getByText('Complete').waitFor();
  await openTab(page, 'Enqueue');
  await run(page);
  await stream.waitFor({ state: 'detached' });
});
