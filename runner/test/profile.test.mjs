/** What a profile keeps from one run to the next. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { createPlace, runJob } from './harness.mjs';
import { startSite } from './servers.mjs';

const VISIT = `export default async ({ page, context, input }) => {
  await page.goto(input.url);
  const visits = await page.evaluate(() => { localStorage.visits = Number(localStorage.visits ?? 0) + 1; return localStorage.visits; });
  return { visits, cookies: (await context.cookies()).map((c) => c.name + '=' + c.value).sort() };
};`;
const SESSION_FILE = 'callboard-session.json';

test('cookies, session cookies and localStorage last, and a cookie that the site deletes is gone', async (t) => {
  const place = createPlace(t);
  let n = 0;
  /** @type {string[]} */
  const seen = [];
  const site = await startSite(t, (request, response) => {
    n += 1;
    seen.push(request.headers.cookie ?? '');
    if (n === 1) response.setHeader('set-cookie', ['keep=1; Max-Age=3600', 'session=s1; HttpOnly', 'gone=soon']);
    if (n === 3) response.setHeader('set-cookie', ['gone=; Max-Age=0', 'session=s3']);
    response.end('<title>shop</title>');
  });
  const visit = () => runJob(place, VISIT, { input: { url: site.url } });

  const first = await visit();
  assert.deepEqual(first.last.value, { visits: '1', cookies: ['gone=soon', 'keep=1', 'session=s1'] }, first.told());
  const file = path.join(place.profile, SESSION_FILE);
  assert.equal(fs.statSync(file).mode & 0o777, 0o600);

  const second = await visit();
  assert.deepEqual(second.last.value, { visits: '2', cookies: ['gone=soon', 'keep=1', 'session=s1'] }, second.told());
  assert.match(seen[1], /session=s1/, 'the site got the session cookie back');

  await visit();
  const fourth = await visit();
  assert.deepEqual(fourth.last.value, { visits: '4', cookies: ['keep=1', 'session=s3'] }, fourth.told());
  assert.deepEqual(fourth.all('warning').filter(({ text }) => /session/.test(text)), []);
});

test('a session file that cannot be read is a warning, not a failure', async (t) => {
  const place = createPlace(t);
  fs.mkdirSync(place.profile);
  fs.writeFileSync(path.join(place.profile, SESSION_FILE), '{"v":1,"coo');
  const run = await runJob(place, 'export default async ({ context }) => (await context.cookies()).length;');
  assert.deepEqual([run.code, run.last.value], [0, 0], run.told());
  assert.equal(run.all('warning').filter(({ text }) => text.includes(SESSION_FILE)).length, 1);
});

test('one refused cookie does not cost the others', async (t) => {
  const place = createPlace(t);
  fs.mkdirSync(place.profile);
  const cookie = { domain: '127.0.0.1', path: '/', expires: -1, httpOnly: false, secure: false, sameSite: 'Lax' };
  fs.writeFileSync(path.join(place.profile, SESSION_FILE), JSON.stringify({
    v: 1,
    cookies: [{ ...cookie, name: 'good', value: '1' }, { ...cookie, name: '__Host-bad', value: 'x', domain: '.example.test' }],
  }));
  const run = await runJob(place, 'export default async ({ context }) => (await context.cookies()).map((c) => c.name);');
  assert.deepEqual(run.last.value, ['good'], run.told());
  assert.ok(run.all('warning').some(({ text }) => /^1 session cookies/.test(text)), run.told());
});

test('a profile in use by another browser is a launch failure', async (t) => {
  const place = createPlace(t);
  fs.mkdirSync(place.profile);
  fs.symlinkSync('some-other-host-12345', path.join(place.profile, 'SingletonLock'));
  const run = await runJob(place, 'export default () => {};');
  assert.deepEqual([run.code, run.last.code, run.last.retryable], [71, 'BROWSER_LAUNCH', true], run.told());
  assert.match(run.last.message, /in use by another/);
});

test('a missing browser or a profile that is not a directory is a launch failure', async (t) => {
  const place = createPlace(t);
  const missing = await runJob(place, 'export default () => {};', { chromium: path.join(place.root, 'no-such-browser') });
  assert.deepEqual([missing.code, missing.last.code], [71, 'BROWSER_LAUNCH'], missing.told());
  assert.match(missing.last.message, /there is no browser at/);
  fs.writeFileSync(place.profile, 'a file');
  const file = await runJob(place, 'export default () => {};');
  assert.deepEqual([file.code, file.last.code], [71, 'BROWSER_LAUNCH'], file.told());
  assert.match(file.last.message, /profile directory cannot be used/);
});
