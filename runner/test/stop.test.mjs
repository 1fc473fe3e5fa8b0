/** Every way a run is stopped from outside. createPlace checks that no process is left. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { chromiumOf, createPlace, eventually, jobFor, processesOf, startRunner } from './harness.mjs';
import { startSite } from './servers.mjs';

/** The design's bound is about 2 s. The rest is for a loaded machine. */
const STOP_BOUND_MS = 8000;

const WAIT = `export default async ({ log, signal }) => {
  signal.addEventListener('abort', () => log('aborted: ' + signal.reason.message));
  log('ready');
  await new Promise(() => { setInterval(() => {}, 1e6); });
};`;

/** @param {ReturnType<typeof startRunner>} runner */
const ready = (runner) => runner.event('log', ({ text }) => text === 'ready');

/**
 * @param {import('node:test').TestContext} t
 * @param {ReturnType<typeof startRunner>} runner
 * @param {() => void} act
 */
async function endAfter(t, runner, act) {
  const startedAt = performance.now();
  act();
  const ended = await runner.end();
  const ms = Math.round(performance.now() - startedAt);
  t.diagnostic(`${ms} ms`);
  assert.ok(ms < STOP_BOUND_MS, `${ms} ms; ${ended.told()}`);
  return ended;
}

test('SIGTERM aborts the signal, keeps artifacts and session, closes the browser and exits with 143', async (t) => {
  const place = createPlace(t);
  const runner = startRunner(place, jobFor(place, WAIT, { options: { screenshot: 'ON_FAILURE', trace: 'ON_FAILURE' } }));
  await ready(runner);
  const { code, last, told } = await endAfter(t, runner, () => runner.child.kill('SIGTERM'));
  assert.deepEqual([code, last.code, last.retryable], [143, 'TERMINATED', true], told());
  assert.match(last.message, /^stopped by SIGTERM while the script waited for a timer at script\.mjs:4:\d+$/);
  assert.ok(runner.all('log').some(({ text }) => text === 'aborted: stopped by SIGTERM'), told());
  assert.ok(fs.existsSync(path.join(place.profile, 'callboard-session.json')));
  // On a loaded machine a recording may not be ready in time, but an announced one must be there.
  for (const artifact of runner.all('artifact')) assert.ok(fs.statSync(path.join(place.artifacts, artifact.path)).size > 0);
});

test('a result that is known is told at once when the run is stopped, before it may be killed', async (t) => {
  const place = createPlace(t);
  const runner = startRunner(place, jobFor(place, `export default async ({ page, log }) => {
    page.evaluate(() => { for (;;); }).catch(() => {});
    setTimeout(() => log('tidying'), 300);
    return 'the order is placed';
  };`, { options: { screenshot: 'ALWAYS', trace: 'ALWAYS' } }));
  await runner.event('log', ({ text }) => text === 'tidying');
  assert.deepEqual(runner.all('result'), []);
  runner.child.kill('SIGTERM');
  await runner.event('result', ({ value }) => value === 'the order is placed');
  const ended = new Promise((resolve) => { runner.child.on('exit', resolve); });
  runner.child.kill('SIGKILL');
  await ended;
  assert.equal(runner.all('result').length, 1);
});

test('a script that takes the signal may clean up with its page, within the grace', async (t) => {
  const place = createPlace(t);
  const runner = startRunner(place, jobFor(place, `export default async ({ page, log, signal }) => {
    log('ready');
    await new Promise((resolve) => signal.addEventListener('abort', resolve));
    await new Promise((resolve) => setTimeout(resolve, 1500));
    await page.goto('data:text/html,<title>logged out</title>');
    log('cleaned up: ' + await page.title());
    return 'no outcome of its own';
  };`), { env: { CALLBOARD_GRACE_MS: '15000' } });
  await ready(runner);
  const { code, last, told } = await endAfter(t, runner, () => runner.child.kill('SIGTERM'));
  assert.deepEqual([code, last.code, last.message], [143, 'TERMINATED', 'stopped by SIGTERM'], told());
  assert.ok(runner.all('log').some(({ text }) => text === 'cleaned up: logged out'), told());
});

test("a script that listens to SIGTERM may clean up with its page, until it ends the process", async (t) => {
  const place = createPlace(t);
  const runner = startRunner(place, jobFor(place, `export default async ({ page, log }) => {
    process.once('SIGTERM', async () => {
      await page.goto('data:text/html,<title>logged out</title>');
      log('cleaned up: ' + await page.title());
      process.exit(0);
    });
    log('ready');
    await page.waitForSelector('#never', { timeout: 0 });
  };`), { env: { CALLBOARD_GRACE_MS: '60000' } });
  await ready(runner);
  const { code, last, told } = await endAfter(t, runner, () => runner.child.kill('SIGTERM'));
  assert.deepEqual([code, last.code], [143, 'TERMINATED'], told());
  assert.ok(runner.all('log').some(({ text }) => text === 'cleaned up: logged out'), told());
});

test('a script that hangs while it is loaded is told as such', async (t) => {
  const place = createPlace(t);
  const runner = startRunner(place, jobFor(place, "console.log('ready');\nawait new Promise(() => { setInterval(() => {}, 1e6); });\nexport default () => 1;"));
  await ready(runner);
  const { last, told } = await endAfter(t, runner, () => runner.child.kill('SIGTERM'));
  assert.equal(last.message, 'stopped by SIGTERM while the script was being loaded', told());
});

for (const [what, script, grace] of [
  ['does not take the signal', "export default async ({ page, log }) => { log('ready'); await page.waitForSelector('#never', { timeout: 0 }); };", '60000'],
  ['never ends', WAIT, '3000'],
]) {
  test(`a script that ${what} is not given all of a long grace`, async (t) => {
    const place = createPlace(t);
    const runner = startRunner(place, jobFor(place, script), { env: { CALLBOARD_GRACE_MS: grace } });
    await ready(runner);
    const { code, last, told } = await endAfter(t, runner, () => runner.child.kill('SIGTERM'));
    assert.deepEqual([code, last.code], [143, 'TERMINATED'], told());
  });
}

test('SIGTERM with a renderer that is busy for ever and a page that asks before it is left', async (t) => {
  const place = createPlace(t);
  const site = await startSite(t, (_request, response) => response.end(`<body onclick="0">x<script>
    addEventListener('beforeunload', (event) => { event.preventDefault(); event.returnValue = 'stay'; });
  </script>`));
  const runner = startRunner(place, jobFor(place, `export default async ({ page, input, log }) => {
    await page.goto(input.url);
    await page.click('body');
    const busy = page.evaluate(() => { for (;;); });
    log('ready');
    await busy;
  };`, { input: { url: site.url }, options: { screenshot: 'ON_FAILURE', trace: 'ON_FAILURE', video: 'ALWAYS', har: 'ALWAYS' } }));
  await ready(runner);
  const { code, last, told } = await endAfter(t, runner, () => runner.child.kill('SIGTERM'));
  assert.deepEqual([code, last.code], [143, 'TERMINATED'], told());
});

test('SIGTERM kills a browser that hangs', async (t) => {
  const place = createPlace(t);
  const runner = startRunner(place, jobFor(place, WAIT, { options: { screenshot: 'ON_FAILURE' } }));
  await ready(runner);
  const browser = chromiumOf(place.root);
  assert.ok(browser);
  process.kill(browser.pid, 'SIGSTOP');
  const { code, last, told } = await endAfter(t, runner, () => runner.child.kill('SIGTERM'));
  assert.deepEqual([code, last.code], [143, 'TERMINATED'], told());
});

test('SIGTERM to the whole tree, the browser first, is TERMINATED and not BROWSER_CLOSED', async (t) => {
  const place = createPlace(t);
  const runner = startRunner(place, jobFor(place, WAIT));
  await ready(runner);
  const { code, last, told } = await endAfter(t, runner, () => {
    process.kill(/** @type {{ pid: number }} */ (chromiumOf(place.root)).pid, 'SIGTERM');
    runner.child.kill('SIGTERM');
  });
  assert.deepEqual([code, last.code], [143, 'TERMINATED'], told());
});

for (const when of ['before the job has arrived', 'while the browser starts']) {
  test(`SIGTERM ${when}`, async (t) => {
    const place = createPlace(t);
    const early = when.startsWith('before');
    const runner = startRunner(place, early ? '{"v":1,' : jobFor(place, WAIT));
    await (early ? runner.event('hello') : eventually(() => chromiumOf(place.root)));
    const { code, last, told } = await endAfter(t, runner, () => runner.child.kill('SIGTERM'));
    assert.deepEqual([code, last.code], [143, 'TERMINATED'], told());
  });
}

test('the end of stdin kills everything', async (t) => {
  const place = createPlace(t);
  const runner = startRunner(place, jobFor(place, WAIT));
  await ready(runner);
  const { code, last, told } = await endAfter(t, runner, () => runner.child.stdin?.end());
  assert.deepEqual([code, last.code], [74, 'TERMINATED'], told());
});

test('the end of stdin kills even a browser that hangs', async (t) => {
  const place = createPlace(t);
  const runner = startRunner(place, jobFor(place, WAIT));
  await ready(runner);
  process.kill(/** @type {{ pid: number }} */ (chromiumOf(place.root)).pid, 'SIGSTOP');
  const { code, told } = await endAfter(t, runner, () => runner.child.stdin?.end());
  assert.equal(code, 74, told());
});

test('the run ends when the reader of stdout goes away', async (t) => {
  const place = createPlace(t);
  const runner = startRunner(place, jobFor(place, `export default async ({ log }) => {
    log('ready');
    await new Promise(() => { setInterval(() => log('is anybody there?'), 10); });
  };`));
  await ready(runner);
  const ended = new Promise((resolve) => { runner.child.on('exit', resolve); });
  runner.child.stdout?.destroy();
  assert.equal(await ended, 74);
});

test('kill -9 of the runner ends the browser too', async (t) => {
  const place = createPlace(t);
  const runner = startRunner(place, jobFor(place, WAIT));
  await ready(runner);
  assert.ok(processesOf(place.root).length >= 3);
  const ended = new Promise((resolve) => { runner.child.on('exit', (_code, signal) => resolve(signal)); });
  runner.child.kill('SIGKILL');
  assert.equal(await ended, 'SIGKILL');
});

for (const [how, script] of [
  ['waits for something else', WAIT],
  ['waits for the page', `export default async ({ page, log }) => { log('ready'); await page.waitForSelector('#never', { timeout: 0 }); };`],
]) {
  test(`a browser that is killed while the script ${how} is BROWSER_CLOSED at once`, async (t) => {
    const place = createPlace(t);
    const runner = startRunner(place, jobFor(place, script, { options: { screenshot: 'ALWAYS', trace: 'ALWAYS', video: 'ALWAYS' } }));
    await ready(runner);
    const { code, last, told } = await endAfter(t, runner, () => {
      process.kill(/** @type {{ pid: number }} */ (chromiumOf(place.root)).pid, 'SIGKILL');
    });
    assert.deepEqual([code, last.code, last.retryable], [72, 'BROWSER_CLOSED', true], told());
  });
}

test('a page that crashes while the script waits for something else is PAGE_CRASHED soon', async (t) => {
  const place = createPlace(t);
  const runner = startRunner(place, jobFor(place, `export default async ({ page, log }) => {
    log('ready');
    await page.goto('chrome://crash').catch(() => {});
    await new Promise(() => { setInterval(() => {}, 1e6); });
  };`));
  await ready(runner);
  const { code, last, told } = await runner.end();
  assert.deepEqual([code, last.code, last.retryable], [72, 'PAGE_CRASHED', true], told());
});
