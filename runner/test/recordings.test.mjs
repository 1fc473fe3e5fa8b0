/** Screenshot, trace, video and HAR in each mode. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { artifactBytes, createPlace, runJob } from './harness.mjs';
import { startSite } from './servers.mjs';

const GOOD = 'export default async ({ page, input }) => { await page.goto(input.url); await page.locator("h1").click(); return 1; };';
const BAD = GOOD.replace('return 1', 'throw new Error("in the end")');
const MAGIC = { png: '89504e47', zip: '504b0304', webm: '1a45dfa3' };
const ALL = ['network.har', 'screenshot.png', 'trace.zip', 'video.webm'];

/** @param {import('node:test').TestContext} t */
function site(t) {
  return startSite(t, (_request, response) => response.end('<title>shop</title><h1>Shop</h1>'));
}

/** @param {string} mode */
const all = (mode) => ({ screenshot: mode, trace: mode, video: mode, har: mode });

for (const [mode, script, kept] of /** @type {[string, string, boolean][]} */ ([
  ['ALWAYS', GOOD, true],
  ['ALWAYS', BAD, true],
  ['ON_FAILURE', BAD, true],
  ['ON_FAILURE', GOOD, false],
  ['OFF', BAD, false],
])) {
  test(`${mode} keeps ${kept ? 'all' : 'nothing'} of a run that ${script === GOOD ? 'succeeds' : 'fails'}`, async (t) => {
    const place = createPlace(t);
    const { url, host } = await site(t);
    const run = await runJob(place, script, { input: { url }, options: all(mode) });
    assert.equal(run.code, script === GOOD ? 0 : 1, run.told());
    assert.deepEqual(run.all('artifact').map(({ name }) => name).sort(), kept ? ALL : [], run.told());
    assert.deepEqual(fs.existsSync(place.artifacts) ? fs.readdirSync(place.artifacts).sort() : [], kept ? ALL : []);
    assert.deepEqual(run.all('warning').filter(({ text }) => /^no /.test(text)), []);
    if (!kept) return;
    const types = Object.fromEntries(run.all('artifact').map(({ name, contentType }) => [name, contentType]));
    assert.deepEqual(types, { 'network.har': 'application/json', 'screenshot.png': 'image/png', 'trace.zip': 'application/zip', 'video.webm': 'video/webm' });
    assert.equal(artifactBytes(place, 'screenshot.png').toString('hex', 0, 4), MAGIC.png);
    assert.equal(artifactBytes(place, 'trace.zip').toString('hex', 0, 4), MAGIC.zip);
    assert.equal(artifactBytes(place, 'video.webm').toString('hex', 0, 4), MAGIC.webm);
    const har = JSON.parse(artifactBytes(place, 'network.har').toString());
    assert.equal(har.log.entries[0].request.url, `http://${host}/`);
  });
}

test('a missing ffmpeg is a warning, and the run goes on', async (t) => {
  const place = createPlace(t);
  const bin = path.join(place.root, 'bin');
  fs.mkdirSync(bin);
  // Everything that Chromium's start script needs except ffmpeg.
  for (const directory of ['/bin', '/usr/bin']) {
    for (const name of fs.readdirSync(directory)) {
      const link = path.join(bin, name);
      if (name !== 'ffmpeg' && !fs.existsSync(link)) fs.symlinkSync(path.join(directory, name), link);
    }
  }
  const { url } = await site(t);
  const run = await runJob(place, GOOD, { input: { url }, options: { ...all('OFF'), video: 'ALWAYS' } }, { env: { PATH: bin } });
  assert.equal(run.code, 0, run.told());
  assert.ok(run.all('warning').some(({ text }) => text === 'no video: ffmpeg is not installed'), run.told());
  assert.deepEqual(run.all('artifact'), []);
});

test('when the script has closed its page, the screenshot shows the last open page', async (t) => {
  const place = createPlace(t);
  const run = await runJob(place, `export default async ({ page, context }) => {
    const other = await context.newPage();
    await other.goto('data:text/html,<h1>other</h1>');
    await page.close();
  };`, { options: all('OFF') && { screenshot: 'ALWAYS' } });
  assert.equal(run.code, 0, run.told());
  assert.deepEqual(run.all('artifact').map(({ name }) => name), ['screenshot.png'], run.told());
});

test('contexts that the script makes are recorded, also those that it closes', async (t) => {
  const place = createPlace(t);
  const { url } = await site(t);
  const run = await runJob(place, `export default async ({ context, input }) => {
    const [first, second] = await Promise.all([1, 2].map(() => context.browser().newContext()));
    for (const [close, own] of [[true, first], [false, second]]) {
      const page = await own.newPage();
      await page.goto(input.url);
      await page.locator('h1').click();
      await page.waitForTimeout(300);
      if (close) await own.close();
    }
    throw new Error('in the end');
  };`, { input: { url }, options: { ...all('OFF'), trace: 'ON_FAILURE', video: 'ON_FAILURE' } });
  assert.match(run.last.message, /^in the end/, run.told());
  const names = run.all('artifact').map(({ name }) => name);
  for (const name of ['trace.zip', 'trace-2.zip', 'trace-3.zip']) assert.ok(names.includes(name), run.told());
  assert.ok(names.filter((name) => /^video/.test(name)).length >= 2, run.told());
  assert.deepEqual(run.all('warning').filter(({ text }) => /^no /.test(text)), []);
});

test('what the script closes is recorded, and told if it cannot be shown', async (t) => {
  for (const close of ['await context.close();', 'await context.browser().close();',
    'const browser = await context.browser().browserType().launch(); await (await (await browser.newContext()).newPage()).goto(input.url); await browser.close(); await page.close();']) {
    const place = createPlace(t);
    const { url } = await site(t);
    const run = await runJob(place, `export default async ({ page, context, input }) => { await page.goto(input.url); ${close} };`,
      { input: { url }, options: { ...all('OFF'), trace: 'ALWAYS' } });
    assert.equal(run.code, 0, run.told());
    const traces = close.includes('launch') ? ['trace.zip', 'trace-2.zip'] : ['trace.zip'];
    assert.deepEqual(run.all('artifact').map(({ name }) => name), traces, run.told());
  }
  const run = await runJob(createPlace(t), `export default async ({ context }) => {
    const own = await context.browser().newContext();
    try {
      const page = await own.newPage();
      await page.goto('data:text/html,own');
      throw new Error('in the end');
    } finally {
      await own.close();
    }
  };`, { options: { screenshot: 'ON_FAILURE' } });
  assert.deepEqual(run.all('artifact'), [], 'not the page that was never used');
  assert.ok(run.all('warning').some(({ text }) => text === 'no screenshot: the script has closed its pages'), run.told());
});

test('a script may make a trace and a video by itself, whatever the options', async (t) => {
  const place = createPlace(t);
  const { url } = await site(t);
  const run = await runJob(place, `import fs from 'node:fs';
    export default async ({ page, context, input, artifact }) => {
      await context.tracing.start({ snapshots: true });
      await page.goto(input.url);
      await context.tracing.stop({ path: 'own.zip' });
      await artifact('own.zip', fs.readFileSync('own.zip'));
      const own = await context.browser().newContext({ recordVideo: { dir: 'films' } });
      await (await own.newPage()).goto(input.url);
      await own.close();
      return fs.readdirSync('films').length;
    };`, { input: { url }, options: { ...all('OFF'), trace: 'ALWAYS', video: 'ALWAYS' } }, { wrap: ['env', '-C', place.tmp] });
  assert.equal(run.last.value, 1, run.told());
  assert.equal(artifactBytes(place, 'own.zip').toString('hex', 0, 4), MAGIC.zip);
  assert.ok(run.all('warning').some(({ text }) => text === 'no trace of a context in which the script makes one'), run.told());
});
