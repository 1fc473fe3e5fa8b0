import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, test } from 'node:test';
import { launch, openPage } from './browser.mjs';
import { KEY, startFixture, VIEWER_KEY } from './fixture/server.mjs';
import { answerOf, isReady, messages, openTab, run, setQuery, setText, shownResult, status } from './graphiql.mjs';

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
  assert.deepEqual(record.errors, []);
});

const goTo = async (path) => {
  await page.goto(fixture.origin + path);
  await isReady(page);
};

/** Runs a tab that subscribes, and returns its stream when that shows this text. */
const subscribe = async (tab, text) => {
  await openTab(page, tab);
  await run(page);
  const stream = page.getByLabel('Subscription', { exact: true });
  await stream.getByText(text).waitFor();
  return stream;
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

  const alert = page.getByRole('alert');
  await page.getByRole('button', { name: 'Sign in' }).click();
  await alert.getByText('Enter an API key first.').waitFor();
  await field.fill('cb_wrong');
  await page.getByRole('button', { name: 'Sign in' }).click();
  await status(page, 'Key refused');
  await alert.getByText('This API key is unknown.').waitFor();
  assert.equal(await field.getAttribute('aria-invalid'), 'true');

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
  await isReady(page);
  await run(page);
  await answerOf(page, 'UNAUTHENTICATED');
  await page.getByRole('button', { name: 'Clear' }).click();
  await isReady(page);
  await page.getByText('Tabs and history stay').waitFor({ state: 'detached' });
});

test('signing out takes away what the session has got, in all tabs', options, async () => {
  await goTo(`/playground#key=${KEY}`);
  const second = await context.newPage();
  await second.goto(`${fixture.origin}/playground`);
  await isReady(second);
  for (const shown of [page, second]) {
    await status(shown, 'Signed in: fixture · ADMIN');
    await run(shown);
    await answerOf(shown, 'demo-browser');
  }
  await page.getByRole('button', { name: 'Sign out' }).click();
  await status(page, 'Not signed in');
  await status(second, 'Signed out');
  await second.getByRole('alert').getByText('You signed out in another tab.').waitFor();
  for (const shown of [page, second]) {
    await isReady(shown);
    assert.doesNotMatch(await shownResult(shown), /demo-browser/);
  }
  await second.getByLabel('API key').fill(VIEWER_KEY);
  await second.getByLabel('API key').press('Enter');
  for (const shown of [page, second]) {
    await shown.locator('.status-text').filter({ hasText: /^Signed in: the key of a person .* VIEWER$/ }).waitFor();
  }
});

test('a session that has ended is shown as such, with the reason and without a stack', options, async () => {
  await goTo(`/playground#key=${KEY}`);
  await status(page, 'Signed in: fixture · ADMIN');
  const stream = await subscribe('WatchJobs', '1 message');
  fixture.endSessions('Your session has ended: its API key `fixture` was revoked.');
  await status(page, 'Signed out');
  await page.getByRole('alert').getByText('was revoked').waitFor();
  await stream.getByText('Failed: The server closed the socket (4401): Your session has ended').waitFor();
  await answerOf(page, '4401');
  assert.doesNotMatch(await shownResult(page), /stack|assets/);

  // The same by a request.
  await page.getByLabel('API key').fill(KEY);
  await page.getByLabel('API key').press('Enter');
  await status(page, 'Signed in: fixture · ADMIN');
  await isReady(page);
  assert.equal(await page.getByRole('tab').count(), 5, 'the tabs are the same after signing in again');
  // Which tab was open is stored a moment later than the session may end.
  await openTab(page, 'WatchJobs');
  await page.locator('.graphiql-editor-tool .view-lines').getByText(/playground/).first().waitFor();
  fixture.endSessions('');
  await openTab(page, 'Commands');
  await run(page);
  await status(page, 'Signed out');
  await page.getByRole('alert').getByText('was revoked').waitFor();
});

for (const [what, shown, ended] of [
  ['a viewer that is nobody', '{ viewer { name } }', 'Your session has ended. Sign in again.'],
  ['a viewer under another name', 'query Me { ...Mine } fragment Mine on Query { me: viewer { name } }', 'Your session has ended. Sign in again.'],
  ['a refusal', '{ jobs { nodes { id } } }', 'was revoked'],
]) {
  test(`the header says that the session has ended after ${what}`, options, async () => {
    await goTo(`/playground#key=${KEY}`);
    await status(page, 'Signed in: fixture · ADMIN');
    await setQuery(page, shown);
    await run(page);
    await answerOf(page, 'data');
    await status(page, 'Signed in: fixture · ADMIN');
    fixture.endSessions('');
    await run(page);
    await status(page, 'Signed out');
    await page.getByRole('alert').getByText(ended).waitFor();
  });
}

test('what a tab looks up says so too, and another key in the headers does not', options, async () => {
  await goTo(`/playground#key=${KEY}`);
  await status(page, 'Signed in: fixture · ADMIN');
  await openTab(page, 'WatchJob');
  fixture.endSessions('');
  await setText(page, 'Headers', JSON.stringify({ Authorization: 'Bearer cb_other' }));
  await run(page);
  await answerOf(page, 'unknown');
  await status(page, 'Signed in: fixture · ADMIN');
  await setText(page, 'Headers', '{}');
  await run(page);
  await status(page, 'Signed out');
});

test('the Enqueue tab never chooses a command of somebody else', options, async () => {
  fixture.store.commands = [];
  fixture.store.addCommand({ name: 'delete-everything' });
  await goTo(`/playground#key=${KEY}`);
  await status(page, 'Signed in: fixture · ADMIN');
  await openTab(page, 'Enqueue');
  await run(page);
  await answerOf(page, 'There is no command named demo-program here');
  await answerOf(page, 'Run the Commands tab');
  assert.equal(fixture.store.jobs.size, 0);
  // The demo's command may come later than the page.
  const command = fixture.store.addCommand({ name: 'demo-program' });
  await run(page);
  await answerOf(page, 'QUEUED');
  assert.deepEqual([...fixture.store.jobs.values()].map((job) => job.command.id), [command.id]);
});

test('a VIEWER is told which tabs the role may not run', options, async () => {
  await goTo(`/playground#key=${VIEWER_KEY}`);
  const note = page.getByRole('note');
  await openTab(page, 'Enqueue');
  await note.getByText('The role VIEWER may not use jobEnqueue.').waitFor();
  await openTab(page, 'Commands');
  await note.waitFor({ state: 'detached' });
});

test('on a narrow screen the result is below the editor, and a long name takes one line', options, async () => {
  await page.setViewportSize({ width: 390, height: 844 });
  await goTo(`/playground#key=${VIEWER_KEY}`);
  const box = (selector) => page.locator(selector).boundingBox();
  const bar = page.locator('.bar .status');
  await bar.getByText(/VIEWER/).waitFor();
  const [editor, result, badge] = [await box('.graphiql-editors'), await box('.graphiql-response'), await bar.boundingBox()];
  assert.ok(result.y >= editor.y + editor.height, `${JSON.stringify([editor, result])}`);
  for (const part of [editor, result]) assert.ok(part.width > 280 && part.height > 150, JSON.stringify(part));
  assert.ok(badge.height < 40 && badge.x + badge.width <= 390, JSON.stringify(badge));
  const role = await page.locator('.status-role').boundingBox();
  assert.ok(role.x + role.width < badge.x + badge.width, JSON.stringify(role));
  const width = await page.evaluate(() => document.documentElement.scrollWidth);
  assert.ok(width <= 390, `${width}`);
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
  const stream = await subscribe('WatchJobs', '1 message');
  await page.locator('.graphiql-execute-button[aria-label^="Stop"]').click();
  await stream.getByText('Stopped').waitFor();

  await setText(page, 'Headers', JSON.stringify({ authorization: 'Bearer cb_other' }));
  await run(page);
  await stream.getByText('Failed: The server closed the socket (4401): This API key is unknown.').waitFor();
  await answerOf(page, '4401');
  assert.doesNotMatch(await shownResult(page), /stack/);
  await status(page, 'Signed in: fixture · ADMIN');
});

test('the default tabs run as they are: their ids are looked up', options, async () => {
  await goTo(`/playground#key=${KEY}`);
  await status(page, 'Signed in: fixture · ADMIN');
  const stream = await subscribe('WatchJob', 'There is no job yet. Run the Enqueue tab first.');

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
  const stream = await subscribe('WatchJob', '1 message');
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
