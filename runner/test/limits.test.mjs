/** What services announce about their limits, and what the runner reports. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createPlace, runJob } from './harness.mjs';
import { startSite } from './servers.mjs';

test('limits are reported despite CORS, and only for the services of the job', async (t) => {
  const place = createPlace(t);
  const page = await startSite(t, (_request, response) => response.writeHead(200, { 'x-ratelimit-remaining': '1' }).end('<title>page</title>'));
  const api = await startSite(t, (request, response) => {
    response.setHeader('access-control-allow-origin', '*');
    response.setHeader('set-cookie', 'secret=cookie');
    if (request.url === '/v1/limited') return response.writeHead(429, { 'Retry-After': '30', 'X-RateLimit-Reset-Tokens': '6m0s' }).end('{}');
    if (request.url === '/v1/refused') return response.writeHead(403, { 'X-RateLimit-Remaining': '0', RateLimit: '"default";r=0;t=30' }).end('{"message":"slow down"}');
    if (request.url === '/v1/bare') return response.writeHead(429).end('{}');
    if (request.url === '/v2/ok') return response.writeHead(200, { 'ratelimit-policy': '"burst";q=100;w=60' }).end('{}');
    return response.writeHead(200).end('{}');
  });
  const run = await runJob(place, `export default async ({ page, context, input, services }) => {
    await page.goto(input.page);
    const seen = await page.evaluate(async (base) => {
      const response = await fetch(base + '/limited');
      return [response.status, response.headers.get('retry-after')];
    }, services.one.baseUrl);
    await context.request.get(services.one.baseUrl + '/refused');
    await fetch(services.one.baseUrl + '/bare');
    await page.request.post(services.two.baseUrl + 'ok');
    await context.request.get(services.one.baseUrl + '/nothing');
    return seen;
  };`, {
    input: { page: page.url },
    services: {
      one: { baseUrl: `${api.url}/v1`, token: null, settings: {} },
      two: { baseUrl: `${api.url}/v2/`, token: null, settings: {} },
      none: { baseUrl: null, token: null, settings: {} },
    },
  });
  assert.deepEqual(run.last.value, [429, null], `the page itself does not see the header; ${run.told()}`);
  const limits = run.all('limits').map(({ v: _v, type: _type, headers: { date, ...headers }, ...rest }) => {
    if (Object.keys(headers).length > 0) assert.ok(Date.parse(date) > 0);
    return { ...rest, headers };
  });
  // The page's response is read from the browser and the others are at hand, so their order varies.
  const byContent = (/** @type {any} */ a, /** @type {any} */ b) => JSON.stringify(a).localeCompare(JSON.stringify(b));
  assert.deepEqual(limits.sort(byContent), [
    { service: 'one', status: 429, host: api.host, headers: { 'retry-after': '30', 'x-ratelimit-reset-tokens': '6m0s' }, body: '{}' },
    { service: 'one', status: 403, host: api.host, headers: { 'x-ratelimit-remaining': '0', ratelimit: '"default";r=0;t=30' }, body: '{"message":"slow down"}' },
    { service: 'one', status: 429, host: api.host, headers: {}, body: '{}' },
    { service: 'two', status: 200, host: api.host, headers: { 'ratelimit-policy': '"burst";q=100;w=60' } },
  ].sort(byContent), run.told());
});

test('a busy service is reported ten times a second, and its newest state and every 429 always', async (t) => {
  const place = createPlace(t);
  let left = 200;
  const api = await startSite(t, (_request, response) => {
    left -= 1;
    response.writeHead(left < 5 ? 429 : 200, { 'x-ratelimit-remaining': String(left) }).end();
  });
  const run = await runJob(place, `export default async ({ services }) => {
    const started = performance.now();
    for (let i = 0; i < 200; i += 1) await fetch(services.api.baseUrl);
    return performance.now() - started;
  };`, { services: { api: { baseUrl: api.url, token: null, settings: {} } } });
  assert.equal(run.code, 0, run.told());
  const limits = run.all('limits');
  assert.deepEqual(limits.slice(-5).map(({ status, headers }) => [status, headers['x-ratelimit-remaining']]),
    [[429, '4'], [429, '3'], [429, '2'], [429, '1'], [429, '0']]);
  const seconds = Math.ceil(run.last.value / 1000) + 1;
  assert.ok(limits.length <= 11 * seconds + 5, `${limits.length} in ${seconds} s`);
  const remaining = limits.map(({ headers }) => Number(headers['x-ratelimit-remaining']));
  assert.deepEqual(remaining, [...remaining].sort((a, b) => b - a), 'in order');
});
