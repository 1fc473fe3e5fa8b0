/** Traffic goes through the proxy or not at all. */
import assert from 'node:assert/strict';
import dgram from 'node:dgram';
import os from 'node:os';
import { test } from 'node:test';
import { createPlace, runJob } from './harness.mjs';
import { freePort, startRefusingProxy, startSite, startTinyproxy } from './servers.mjs';

const OPEN = 'export default async ({ page, input }) => { await page.goto(input.url); return page.title(); };';
const REQUEST = 'export default async ({ context, input }) => (await context.request.get(input.url)).status();';

const hasNetwork = Object.values(os.networkInterfaces()).flat().some((address) => !address?.internal);

/** @param {import('node:test').TestContext} t */
async function site(t) {
  return startSite(t, (_request, response) => response.end('<title>reached</title>'));
}

test('pages and context.request go through the proxy with its credentials, even to loopback, and fetch is refused', async (t) => {
  const place = createPlace(t);
  const { server, username, password } = await startTinyproxy(place);
  const target = await site(t);
  const run = await runJob(place, `export default async ({ page, context, input }) => {
    await page.goto(input.url);
    const status = (await context.request.get(input.url + '/api')).status();
    const fetched = await fetch(input.url).then(() => 'went around', (error) => error.message);
    return { title: await page.title(), status, fetched };
  };`, { input: { url: target.url }, proxy: { server, username, password } });
  assert.equal(run.code, 0, run.told());
  assert.deepEqual(run.last.value, {
    title: 'reached',
    status: 200,
    fetched: 'fetch does not go through the proxy. Use context.request or the page instead.',
  });
  assert.ok(!run.output().includes(password));
  const page = target.requests.find((request) => request.url === '/');
  assert.match(String(page?.headers.via), /tinyproxy/);
  assert.equal(page?.headers['proxy-authorization'], undefined, 'the site does not see the credentials');
});

test('without a proxy the connection is direct, whatever the environment says', async (t) => {
  const target = await site(t);
  const nobody = `http://127.0.0.1:${await freePort()}`;
  const run = await runJob(createPlace(t), OPEN, { input: { url: target.url } }, { env: { http_proxy: nobody, HTTP_PROXY: nobody, all_proxy: nobody } });
  assert.deepEqual([run.code, run.last.value], [0, 'reached'], run.told());
  assert.equal(target.requests[0].headers.via, undefined);
});

for (const [what, script] of [['page', OPEN], ['context.request', REQUEST]]) {
  test(`a proxy that is down is a PROXY failure (${what})`, async (t) => {
    const target = await site(t);
    const run = await runJob(createPlace(t), script, {
      input: { url: target.url },
      proxy: { server: `http://127.0.0.1:${await freePort()}` },
    });
    assert.deepEqual([run.code, run.last.code, run.last.retryable], [1, 'PROXY', true], run.told());
    assert.equal(target.requests.length, 0);
  });

  test(`a proxy that always answers 407 is a PROXY failure (${what})`, async (t) => {
    const target = await site(t);
    const { server } = await startRefusingProxy(t);
    const run = await runJob(createPlace(t), script, {
      input: { url: target.url },
      proxy: { server, username: 'someone', password: 'wrong-password' },
    });
    assert.deepEqual([run.code, run.last.code, run.last.retryable], [1, 'PROXY', true], run.told());
    assert.equal(target.requests.length, 0);
  });
}

test('a wrong password is a PROXY failure', async (t) => {
  const place = createPlace(t);
  const { server, username } = await startTinyproxy(place);
  const target = await site(t);
  const run = await runJob(place, OPEN, { input: { url: target.url }, proxy: { server, username, password: 'wrong-password' } });
  assert.deepEqual([run.code, run.last.code, run.last.retryable], [1, 'PROXY', true], run.told());
  assert.equal(target.requests.length, 0);
});

test('a site that is down is a NAVIGATION failure, not a PROXY failure', async (t) => {
  const run = await runJob(createPlace(t), OPEN, { input: { url: `http://127.0.0.1:${await freePort()}` } });
  assert.deepEqual([run.code, run.last.code, run.last.retryable], [1, 'NAVIGATION', true], run.told());
  assert.match(run.last.message, /net::ERR_CONNECTION_REFUSED .*\(script\.mjs:1:\d+\)/);
});

test('a SOCKS proxy that is down is a PROXY failure', async (t) => {
  const target = await site(t);
  const run = await runJob(createPlace(t), OPEN, { input: { url: target.url }, proxy: { server: `socks5://127.0.0.1:${await freePort()}` } });
  assert.deepEqual([run.code, run.last.code], [1, 'PROXY'], run.told());
  assert.equal(target.requests.length, 0);
});

test('SOCKS with credentials is refused before the browser starts', async (t) => {
  const run = await runJob(createPlace(t), OPEN, { proxy: { server: 'socks5://127.0.0.1:1080', username: 'u', password: 'pppp' } });
  assert.deepEqual([run.code, run.last.code, run.last.retryable], [71, 'BROWSER_LAUNCH', false], run.told());
  assert.match(run.last.message, /cannot log in to a SOCKS proxy/);
});

for (const proxied of [true, false]) {
  test(`WebRTC ${proxied ? 'sends nothing around' : 'works without'} a proxy`, async (t) => {
    const place = createPlace(t);
    const stun = dgram.createSocket('udp4');
    let packets = 0;
    stun.on('message', () => { packets += 1; });
    await new Promise((resolve) => { stun.bind(0, '127.0.0.1', () => resolve(undefined)); });
    place.closers.push(() => { stun.close(); });
    const target = await site(t);
    const proxy = proxied ? await startTinyproxy(place) : null;
    const run = await runJob(place, `export default async ({ page, input }) => {
      await page.goto(input.url);
      return page.evaluate(async (stun) => {
        const peer = new RTCPeerConnection({ iceServers: [{ urls: stun }] });
        const candidates = [];
        // Unless the policy holds gathering back, it first finds the machine's own address.
        const found = new Promise((resolve) => {
          peer.onicecandidate = ({ candidate }) => { if (candidate?.candidate) resolve(candidates.push(candidate.candidate)); };
          peer.onicegatheringstatechange = () => { if (peer.iceGatheringState === 'complete') resolve(); };
        });
        peer.createDataChannel('x');
        await peer.setLocalDescription(await peer.createOffer());
        await found;
        return candidates.length;
      }, input.stun);
    };`, {
      input: { url: target.url, stun: `stun:127.0.0.1:${stun.address().port}` },
      proxy: proxy && { server: proxy.server, username: proxy.username, password: proxy.password },
    });
    assert.equal(run.code, 0, run.told());
    if (proxied) assert.deepEqual({ packets, candidates: run.last.value }, { packets: 0, candidates: 0 });
    // WebRTC ignores loopback, so a machine without another interface cannot show the difference.
    else if (hasNetwork) assert.ok(run.last.value > 0, run.told());
  });
}
