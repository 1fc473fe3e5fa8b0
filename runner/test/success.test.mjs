/**
 * A successful run: what the script is given, what is reported to the worker, and in which order.
 */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { test } from 'node:test';
import { artifactBytes, createPlace, runJob } from './harness.mjs';
import { startSite } from './servers.mjs';

const PNG = Buffer.from([0x89, 0x50, 0x4e, 0x47]);

test('a script gets its job, and its result, logs, steps and artifacts are reported', async (t) => {
  const place = createPlace(t);
  const site = await startSite(t, (_request, response) => response.end(`<title>Shop</title><body style="height:3000px;margin:0"><script>
    console.log('page says', 42); console.error('page error line'); setTimeout(() => { throw new Error('page broke') });
  </script>`));
  const run = await runJob(place, `
    export default async ({ page, context, input, services, profile, log, progress, artifact, step, signal }) => {
      log('plain', { a: 1 }); log.warn('careful'); log.error('bad'); log.debug('detail');
      console.log('from console %d', 7); console.warn('console warning'); process.stdout.write('raw line\\n');
      const broke = page.waitForEvent('pageerror');
      const title = await step('open the shop', async () => { await page.goto(input.url); return page.title(); });
      await broke;
      const name = await artifact('report.json', JSON.stringify({ title }));
      const again = await artifact('report.json', new Uint8Array([1, 2, 3]), { contentType: 'application/x-bytes' });
      await artifact('rows.CSV', 'a,b');
      const escaped = await artifact('../../etc/pass wd', 'x');
      await artifact.screenshot('now.png');
      progress(0.5, 'half'); progress(1, 'done');
      return { title, name, again, escaped, aborted: signal.aborted, same: page.context() === context,
        services, profile, viewport: page.viewportSize(), env: process.env.SHOULD_NOT_EXIST ?? null };
    };`, {
    input: { url: site.url },
    services: { shop: { baseUrl: site.url, token: null, settings: { plan: 'free' } } },
    profile: { environment: { LANG: 'de_DE.UTF-8' } },
    options: { screenshot: 'ALWAYS', viewport: { width: 800, height: 600 } },
    aFieldFromTheFuture: true,
  });

  assert.equal(run.code, 0, run.told());
  assert.deepEqual(run.last, {
    v: 1,
    type: 'result',
    value: {
      title: 'Shop',
      name: 'report.json',
      again: 'report-2.json',
      escaped: '__.._etc_pass wd',
      aborted: false,
      same: true,
      services: { shop: { baseUrl: site.url, token: null, settings: { plan: 'free' } } },
      profile: { name: 'test', directory: place.profile, environment: { LANG: 'de_DE.UTF-8' }, secrets: {} },
      viewport: { width: 800, height: 600 },
      env: null,
    },
  });
  assert.deepEqual(run.events.slice(0, 1).map(({ type, runner }) => ({ type, runner })), [{ type: 'hello', runner: 'playwright' }]);
  const browser = run.all('browser')[0];
  assert.match(browser.version, /^\d+\./);
  assert.equal(browser.persistent, true);

  const logs = run.all('log').map(({ level, text }) => `${level}: ${text}`);
  assert.deepEqual(logs, ['info: plain { a: 1 }', 'warn: careful', 'error: bad', 'debug: detail', 'info: from console 7',
    'warn: console warning', 'info: raw line']);
  const console = run.all('console').map(({ level, text }) => `${level}: ${text}`);
  assert.deepEqual(console, ['info: page says 42', 'error: page error line']);
  assert.match(run.all('pageerror')[0].text, /page broke/);

  const steps = run.all('step');
  assert.deepEqual(steps.map(({ name, status }) => [name, status]), [['open the shop', 'begin'], ['open the shop', 'ok']]);
  assert.ok(steps[1].durationMs >= 0);
  assert.deepEqual(run.all('progress').at(-1), { v: 1, type: 'progress', fraction: 1, message: 'done' });

  const artifacts = Object.fromEntries(run.all('artifact').map(({ name, contentType, path }) => {
    assert.equal(name, path);
    return [name, contentType];
  }));
  assert.deepEqual(artifacts, {
    'report.json': 'application/json',
    'report-2.json': 'application/x-bytes',
    'rows.CSV': 'text/csv; charset=utf-8',
    '__.._etc_pass wd': 'application/octet-stream',
    'now.png': 'image/png',
    'screenshot.png': 'image/png',
  });
  assert.deepEqual(fs.readdirSync(place.artifacts).sort(), Object.keys(artifacts).sort());
  const screenshot = artifactBytes(place, 'screenshot.png');
  assert.deepEqual(screenshot.subarray(0, 4), PNG);
  assert.deepEqual([screenshot.readUInt32BE(16), screenshot.readUInt32BE(20)], [800, 3000], 'the whole page');
  assert.deepEqual(artifactBytes(place, 'report-2.json'), Buffer.from([1, 2, 3]));
  assert.deepEqual(fs.readdirSync(place.tmp).filter((name) => /^(callboard|playwright)/.test(name)), [], 'nothing left in TMPDIR');
});

for (const close of ['context.close()', 'context.browser().close()']) {
  test(`a script without a result returns null, and may end with ${close}`, async (t) => {
    const place = createPlace(t);
    const run = await runJob(place, `export default async ({ context }) => { await ${close}; };`);
    assert.deepEqual([run.code, run.last.value], [0, null], run.told());
    assert.ok(fs.existsSync(`${place.profile}/callboard-session.json`));
  });
}

test('progress is sent at most a few times a second, and the last one always', async (t) => {
  const place = createPlace(t);
  const run = await runJob(place, `
    export default async ({ progress }) => {
      const started = performance.now();
      for (let i = 0; i <= 1000; i += 1) {
        progress(i / 1000, 'item ' + i);
        if (i % 100 === 0) await new Promise((resolve) => setImmediate(resolve));
      }
      progress(7); progress(Number.NaN, 'unknown'); progress(null, 'the last');
      return performance.now() - started;
    };`);
  assert.equal(run.code, 0, run.told());
  const sent = run.all('progress');
  assert.deepEqual(sent[0], { v: 1, type: 'progress', fraction: 0, message: 'item 0' });
  assert.deepEqual(sent.at(-1), { v: 1, type: 'progress', fraction: null, message: 'the last' });
  assert.ok(sent.length <= 2 + run.last.value / 200, `${sent.length} events in ${run.last.value} ms`);
});

test('a page that floods the console is cut off, and the dropped lines are counted', async (t) => {
  const place = createPlace(t);
  const run = await runJob(place, `
    export default async ({ page, context }) => {
      let seen = 0;
      const all = new Promise((resolve) => context.on('console', () => { seen += 1; if (seen === 3000) resolve(); }));
      await page.evaluate(() => { for (let i = 0; i < 3000; i += 1) console.log('line', i); });
      await all;
    };`);
  assert.equal(run.code, 0, run.told());
  const lines = run.all('console').length;
  assert.ok(lines >= 500 && lines < 3000, `${lines} lines`);
  const dropped = run.all('warning').map(({ text }) => Number(/^(\d+) console lines/.exec(text)?.[1] ?? 0));
  assert.equal(lines + dropped.reduce((a, b) => a + b, 0), 3000);
});

test('no secret is written by any means', async (t) => {
  const place = createPlace(t);
  const secrets = { token: 'tok_4f9a8b7c', profile: 'p+ss/word&=1', extra: 'writeOnly-42', tiny: 'abc' };
  const run = await runJob(place, `
    export default async ({ page, services, profile, input, log, step, artifact, progress }) => {
      const all = [services.api.token, profile.secrets.PASSWORD, input.extra];
      for (const secret of all) {
        log('it is', secret); console.error({ secret }); progress(0.1, secret);
        await page.evaluate((s) => { console.log(s); console.log(encodeURIComponent(s)); console.log(btoa(s)); }, secret);
        await step('step ' + secret, () => {});
        await artifact(secret + '.txt', 'x');
      }
      log('short ones are left alone:', profile.secrets.SHORT);
      return { [services.api.token]: all, nested: { deep: ['x' + all[0] + 'y'] } };
    };`, {
    input: { extra: secrets.extra },
    services: { api: { baseUrl: null, token: secrets.token, settings: {} } },
    profile: { secrets: { PASSWORD: secrets.profile, SHORT: secrets.tiny } },
    secretsToMask: [secrets.extra],
  });
  assert.equal(run.code, 0, run.told());
  const { value, ...rest } = run.last;
  const written = JSON.stringify([run.events.slice(0, -1), rest]);
  for (const secret of [secrets.token, secrets.profile, secrets.extra]) {
    for (const form of [secret, encodeURIComponent(secret), Buffer.from(secret).toString('base64')]) {
      assert.ok(!written.includes(form), `${form} in\n${run.told()}`);
    }
  }
  assert.deepEqual(value, { [secrets.token]: ['***', '***', '***'], nested: { deep: ['x***y'] } });
  assert.match(written, /left alone: abc/);
  for (const name of fs.readdirSync(place.artifacts)) assert.ok(!name.includes(secrets.token), name);
});

test('the message of a failure is masked too', async (t) => {
  const place = createPlace(t);
  const run = await runJob(place, `export default async ({ services }) => { throw new Error('cannot use ' + services.api.token); };`, {
    services: { api: { baseUrl: null, token: 'tok_4f9a8b7c', settings: {} } },
  });
  assert.equal(run.last.code, 'SCRIPT_ERROR');
  assert.ok(!run.output().includes('tok_4f9a8b7c'), run.told());
});
