/** First lines that are not a job. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { test } from 'node:test';
import { parseJob } from '../src/job.mjs';
import { createPlace, jobFor, startRunner } from './harness.mjs';

const SECRET = 'a-secret-in-the-line';

/** @type {[string, (job: any) => any, RegExp][]} */
const CASES = [
  ['not JSON', () => `{"v":1, "${SECRET}`, /not JSON/],
  ['not an object', () => '[]', /not a JSON object/],
  ['another version', (job) => ({ ...job, v: 2 }), /version 2 is not supported\. This runner supports version 1/],
  ['no version', ({ v: _, ...job }) => job, /version missing/],
  ['no script', ({ script: _, ...job }) => job, /script is missing/],
  ['no profile', ({ profile: _, ...job }) => job, /profile\.directory is missing/],
  ['a relative profile', (job) => ({ ...job, profile: { directory: 'here' } }), /profile\.directory must be an absolute path/],
  ['no artifacts directory', ({ artifactsDirectory: _, ...job }) => job, /artifactsDirectory is missing/],
  ['no chromium', ({ chromium: _, ...job }) => job, /chromium is missing/],
  ['an unknown mode', (job) => ({ ...job, options: { trace: 'SOMETIMES' } }), /options\.trace must be one of OFF, ON_FAILURE, ALWAYS/],
  ['an empty viewport', (job) => ({ ...job, options: { viewport: { width: 0, height: 10 } } }), /viewport/],
  ['an unknown sandbox', (job) => ({ ...job, sandbox: 'maybe' }), /sandbox must be one of/],
  ['a service with an invalid URL', (job) => ({ ...job, services: { api: { baseUrl: 'api' } } }), /services\.api\.baseUrl/],
  ['a proxy that is not a URL', (job) => ({ ...job, proxy: { server: 'here' } }), /proxy\.server/],
  ['an unknown proxy scheme', (job) => ({ ...job, proxy: { server: 'vless://127.0.0.1:1' } }), /scheme/],
  ['credentials in the proxy URL', (job) => ({ ...job, proxy: { server: `http://u:${SECRET}@127.0.0.1:1` } }), /proxy\.username and proxy\.password/],
];

for (const [name, change, message] of CASES) {
  test(`${name} is bad input`, async (t) => {
    const place = createPlace(t);
    const line = change(jobFor(place, 'export default () => {}'));
    const runner = startRunner(place, typeof line === 'string' ? `${line}\n` : line);
    const { code, last, told } = await runner.end();
    assert.equal(code, 64, told());
    assert.equal(last.code, 'BAD_INPUT');
    assert.match(last.message, message);
    assert.equal(last.retryable, false);
    assert.ok(!runner.output().includes(SECRET));
    assert.ok(!fs.existsSync(place.profile));
  });
}

test('stdin that ends before the line is complete is bad input', async (t) => {
  const place = createPlace(t);
  const runner = startRunner(place, '{"v":1');
  runner.child.stdin?.end();
  const { code, last, told } = await runner.end();
  assert.equal(code, 64, told());
  assert.match(last.message, /stdin ended/);
});

test('a token that the command does not name throws when it is read', (t) => {
  const services = {
    shop: { baseUrl: 'https://shop.test', token: null, settings: { a: 1 }, isTokenWithheld: true },
    open: { baseUrl: null, token: SECRET, settings: {} },
    bare: { baseUrl: null, token: null, settings: {} },
  };
  const job = parseJob(JSON.stringify({ ...jobFor(createPlace(t), 'export default () => {}'), services }));
  assert.throws(() => job.services.shop.token, /does not name the token of the service shop\. Add the service to the command's tokens/);
  assert.equal(job.services.open.token, SECRET);
  assert.equal(job.services.bare.token, null);
  assert.deepEqual({ ...job.services.shop }, { baseUrl: 'https://shop.test', settings: { a: 1 } });
  assert.ok(JSON.stringify(job.services).includes('shop.test'));
  assert.ok(job.secrets.includes(SECRET));
});
