/** Scripts do here what they do in plain Playwright, or fail and say what to write. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import fs from 'node:fs';
import net from 'node:net';
import { test } from 'node:test';
import { artifactBytes, createPlace, jobFor, runJob, startRunner } from './harness.mjs';
import { startSite, startTinyproxy } from './servers.mjs';

/** The screenshot's bound is 4 s and that of closing 5 s. The rest is for a loaded machine. */
const END_BOUND_MS = 15_000;

const BLOCKED_SITE = `<body onclick="0">x</body>`;

for (const [what, block] of [
  ['an open alert', 'page.on("dialog", () => {}); page.evaluate(() => { setTimeout(() => alert(1)); }); await page.waitForEvent("dialog");'],
  ['an alert that comes again and again', 'context.on("dialog", () => {}); page.evaluate(() => { setInterval(() => alert(1), 10); }); await page.waitForEvent("dialog");'],
  ['a prompt that something waits for', 'page.on("dialog", () => {}); page.evaluate(() => prompt("a")).catch(() => {}); await page.waitForEvent("dialog");'],
  ['a renderer that is busy for ever', 'page.evaluate(() => { for (;;); }).catch(() => {});'],
]) {
  test(`a failure with ${what} ends soon`, async (t) => {
    const place = createPlace(t);
    const site = await startSite(t, (_request, response) => response.end(BLOCKED_SITE));
    const runner = startRunner(place, jobFor(place, `export default async ({ page, context, input, log }) => {
      await page.goto(input.url);
      ${block}
      log('ready');
      throw new Error('in the end');
    };`, { input: { url: site.url }, options: { screenshot: 'ON_FAILURE', trace: 'ON_FAILURE' } }));
    await runner.event('log', ({ text }) => text === 'ready');
    const startedAt = performance.now();
    const { last, told } = await runner.end();
    const ms = Math.round(performance.now() - startedAt);
    t.diagnostic(`${ms} ms, ${runner.all('artifact').map(({ name }) => name)}`);
    assert.match(last.message, /^in the end \(script/, told());
    assert.ok(ms < END_BOUND_MS, `${ms} ms; ${told()}`);
    if (!what.includes('busy')) assert.ok(runner.all('artifact').some(({ name }) => name === 'screenshot.png'), told());
  });
}

/** Work that is still under way when the function returns. */
for (const [what, body] of [
  ['a chain that is not returned', 'page.goto(input.url).then(() => page.title()).then((title) => log(title));'],
  ['a call that is not awaited', 'page.goto(input.url); return 1;'],
  ['an async function that is not awaited', '(async () => { await page.goto(input.url); await page.title(); })();'],
  ['a callback of forEach', '[1, 2].forEach(async () => { await context.request.get(input.url); });'],
  ['a page that is being opened', 'context.newPage().then((page) => page.goto(input.url));'],
]) {
  for (const main of ['', 'async ']) {
    test(`${what} (${main || 'not '}async) fails for good, and says where`, async (t) => {
      const site = await startSite(t, (_request, response) => { setTimeout(() => response.end('<title>late</title>'), 300); });
      const run = await runJob(createPlace(t), `export default ${main}({ page, context, input, log }) => {\n  ${body}\n};`, { input: { url: site.url } });
      assert.deepEqual([run.code, run.last.code, run.last.retryable], [1, 'SCRIPT_ERROR', false], run.told());
      assert.match(run.last.message, /^\w+\.\w+: it was still under way when the script returned, and is cut off\. Await it, or return its promise\. \(script\.mjs:2:\d+\)$/);
    });
  }
}

test('what a script deliberately leaves behind does not fail it', async (t) => {
  const site = await startSite(t, (_request, response) => response.end('<title>shop</title><p>yes</p>'));
  const run = await runJob(createPlace(t), `export default async ({ page, context, input }) => {
    page.on('response', async (response) => { await new Promise((resolve) => setTimeout(resolve, 50)); await response.text(); });
    context.on('page', async (other) => { await other.waitForSelector('#never'); });
    await page.goto(input.url);
    const first = await Promise.race([page.waitForSelector('#never').then(() => 'no'), page.waitForSelector('p').then(() => 'yes')]);
    const any = await Promise.any([page.waitForSelector('#never'), page.waitForSelector('p')]).then(() => 'any');
    page.waitForSelector('#never').catch(() => {});
    page.waitForEvent('download').catch(() => {});
    (await context.newPage()).close();
    page.close();
    setTimeout(() => {}, 60_000);
    return [first, any];
  };`, { input: { url: site.url } });
  assert.deepEqual([run.code, run.last.value], [0, ['yes', 'any']], run.told());
});

/** @type {[string, string, RegExp][]} */
const THROWN = [
  ['an AggregateError', 'await Promise.any([Promise.reject(new TypeError("one")), Promise.reject("two"), page.goto("http://127.0.0.1:1/")]);',
    /^AggregateError: All promises were rejected\n- TypeError: one \(script\.mjs:1:\d+\)\n- 'two'\n- page\.goto: net::ERR_\w+ at http:\/\/127\.0\.0\.1:1\/ \(script\.mjs:1:\d+\)\n/],
  ['causes of any depth', 'throw new Error("a", { cause: new RangeError("b", { cause: new Error("c", { cause: "d" }) }) });',
    /^a \(script\.mjs:1:\d+\)\nCaused by: RangeError: b \(script\.mjs:1:\d+\)\nCaused by: c \(script\.mjs:1:\d+\)\nCaused by: 'd'$/],
  ['a cause that is no error', 'throw new Error("a", { cause: { code: 7 } });', /^a \(.*\)\nCaused by: \{ code: 7 \}$/],
  ['causes that are errors gathered', 'throw new Error("a", { cause: new AggregateError([new Error("b", { cause: 1 }), null], "") });',
    /^a \(.*\)\nCaused by: AggregateError: \(script.*\)\n- b \(.*\)\n {2}Caused by: 1\n- null$/],
  ['fetch, whose reason is in the cause', 'await fetch("http://127.0.0.1:1/x");', /^TypeError: fetch failed.*\nCaused by: .*(bad port|ECONNREFUSED)/],
  ['an error with fields', 'throw Object.assign(new Error("a"), { code: "E42", response: { status: 503, body: { a: { b: 1 } } } });',
    /^a \(script.*\)\nWith \{ code: 'E42', response: \{ status: 503, body: \{ a: \[Object\] \} \} \}$/],
  ['an error with itself and others as fields', 'const e = new Error("a"); e.self = e; e.first = new Error("b"); throw e;', /^a \(script.*\)\nWith \{\n {2}first: Error: b\n {6}at .*script\.mjs:1:\d+\)\n\}$/],
  ['an assertion, whose message says all', '(await import("node:assert")).strict.equal(1, 2);', /^AssertionError: Expected .* \(script.*\)\n\n1 !== 2$/],
  ['an error of Node with a code', 'new URL("none");', /^TypeError: Invalid URL \(script.*\)\nWith \{ code: 'ERR_INVALID_URL', input: 'none' \}$/],
  ['an error of the system, whose message says all', '(await import("node:fs")).readFileSync("/no/such");', /^ENOENT: no such file or directory, open '\/no\/such' \(script\.mjs:1:\d+\)$/],
  ['an error of Playwright, whose fields are its own', 'await page.click("#never", { timeout: 1 });', /^TimeoutError: page\.click: Timeout 1ms exceeded\. \(script(?!.*With)/s],
  ['hundreds of errors', 'throw new AggregateError(Array.from({ length: 500 }, (_, n) => n % 2 ? new Error("e" + n) : n), "many");',
    /^AggregateError: many \(.*\)\n- 0\n- e1 .*\n- 2\n[^]*- \(480 more\)$/],
  ['a long chain of causes', 'let e; for (let n = 0; n < 1000; n += 1) e = new Error("e" + n, { cause: e }); throw e;', /^e999 [^]*Caused by: e980 .*\n\(further causes are left out\)$/],
  ['a circle of causes', 'const a = new Error("a"); a.cause = new Error("b", { cause: a }); throw a;', /^a \(.*\)\nCaused by: b \(.*\)\nCaused by: \(an error that is told above\)$/],
  ['an object without a prototype', 'throw Object.create(null);', /^the script threw \[Object: null prototype\] \{\}$/],
  ['undefined', 'throw undefined;', /^the script threw undefined$/],
  ['a symbol', 'throw Symbol("s");', /^the script threw Symbol\(s\)$/],
  ['an object that cannot be shown', 'throw { get [Symbol.toStringTag]() { throw new Error("no"); }, [Symbol.for("nodejs.util.inspect.custom")]() { throw new Error("no"); } };', /^the script threw a object that cannot be shown$/],
  ['an error whose fields throw', 'const e = new Error("a"); for (const k of ["message", "stack", "name", "cause", "code"]) Object.defineProperty(e, k, { get() { throw new Error("no"); } }); throw e;', /^(no \(.*\))?$/],
  ['an error with a message that is no text', 'const e = new Error(); e.message = { a: 1 }; throw e;', /^\{ a: 1 \}/],
  ['a proxy that refuses everything', 'throw new Proxy({}, { get() { throw 1; }, getPrototypeOf() { throw 2; }, ownKeys() { throw 3; } });', /^the script threw/],
  ['text that only looks like an error of a proxy', 'throw new Error("see net::ERR_PROXY_CONNECTION_FAILED");', /^see net::ERR_PROXY/],
  ['text that only looks like an error of the network', 'throw new Error("log says net::ERR_FAILED, Page crashed");', /^log says/],
  ['an error of another realm', 'throw (await import("node:vm")).runInNewContext("new TypeError(\\"other\\")");', /^TypeError: other \(script/],
];

for (const [what, body, message] of THROWN) {
  test(`${what} is told whole`, async (t) => {
    const run = await runJob(createPlace(t), `export default async ({ page }) => { ${body} };`);
    const navigation = what === 'an AggregateError';
    assert.deepEqual([run.code, run.last.code], [1, navigation ? 'NAVIGATION' : 'SCRIPT_ERROR'], run.told());
    assert.match(run.last.message, message);
    assert.ok(!/runner\/src|callboard-runner/.test(run.output()), `a frame of the runner: ${run.told()}`);
  });
}

for (const [what, script] of [
  ['require', 'const fs = require("node:fs");\nexport default () => {};'],
  ['require in the function', 'export default async () => { require("fs"); };'],
  ['module.exports', 'module.exports = async () => {};'],
  ['exports', 'exports.main = async () => {};'],
  ['__dirname', 'export default () => __dirname;'],
  ['the body of a function', 'await page.goto("data:text/html,x");'],
  ['a test', 'test("title", async ({ page }) => {});'],
  ['something that it does not take', 'export default async ({ page }) => { log("x"); };'],
  ['import() of a package', 'export default async () => { await import("lodash"); };'],
  ['createRequire of a package', 'import { createRequire } from "node:module"; export default () => createRequire(import.meta.url)("lodash");'],
  ["import of Playwright's", 'import { chromium } from "playwright"; const browser = await chromium.launch();'],
  ["the test runner's", 'import { test } from "@playwright/test"; test("a", async ({ page }) => {});'],
  ['no function', 'console.log("hello");'],
]) {
  test(`a script for another place (${what}) is not retried, and the form is shown`, async (t) => {
    const run = await runJob(createPlace(t), script);
    assert.deepEqual([run.last.type, run.last.retryable], ['failure', false], run.told());
    assert.match(run.last.message, /export default async \(\{ page, context, input \}\) => \{ \.\.\. \}/);
    assert.doesNotMatch(run.last.message, /use import instead/);
  });
}

test('errors that a script logs have the place in the script, and no frame of the runner', async (t) => {
  const run = await runJob(createPlace(t), `export default async ({ page, log }) => {
    const error = Object.assign(new Error('logged'), { code: 'E42' });
    log(error); console.error(error); console.trace('here');
    await page.click('#never', { timeout: 1 }).catch((late) => console.log(late));
  };`);
  assert.equal(run.code, 0, run.told());
  const text = run.all('log').map((event) => event.text).join('\n');
  assert.doesNotMatch(text, /callboard-runner|run\.mjs|calls\.mjs/, run.told());
  assert.equal(text.match(/Error: logged\n {4}at .*script\.mjs:2:\d+\) \{\n {2}code: 'E42'\n\}/g)?.length, 2, run.told());
  assert.match(text, /Trace: here\n {4}at .*script\.mjs:3:\d+\)/);
  assert.match(text, /page\.click: Timeout 1ms exceeded.*\n[^]*at .*script\.mjs:4:\d+\)?/);
});

test('a result that is refused names no frame of the runner', async (t) => {
  const run = await runJob(createPlace(t), 'export default () => 1n;');
  assert.deepEqual([run.last.code, run.last.retryable], ['RESULT_NOT_JSON', false], run.told());
  assert.deepEqual(run.all('log'), []);
});

const OWN_CONTEXTS = [
  ['newContext', 'const own = await context.browser().newContext(); const other = await own.newPage();'],
  ['newPage', 'const other = await context.browser().newPage();'],
  ['a launched browser', 'const browser = await context.browser().browserType().launch(); const other = await browser.newPage();'],
  ['a launched browser whose options are not set', 'const browser = await context.browser().browserType().launch({ proxy: undefined, executablePath: undefined, args: undefined, env: undefined }); const other = await browser.newPage();'],
  ['a launched persistent context', `const own = await context.browser().browserType().launchPersistentContext(process.env.TMPDIR + '/own'); const other = own.pages()[0];`],
];

for (const [what, open] of OWN_CONTEXTS) {
  test(`pages of a context that the script makes are watched (${what})`, async (t) => {
    const place = createPlace(t);
    const site = await startSite(t, (request, response) => {
      if (request.url === '/api') return response.writeHead(429, { 'retry-after': '30' }).end('slow down');
      return response.end('<body style="margin:0;height:2000px">x<script>console.log("from the page"); setTimeout(() => { throw new Error("page broke"); });</script>');
    });
    const run = await runJob(place, `export default async ({ context, services }) => {
      ${open}
      const broke = other.waitForEvent('pageerror');
      await other.setViewportSize({ width: 640, height: 480 });
      await other.goto(services.shop.baseUrl);
      await broke;
      await other.evaluate(() => fetch('/api').then(() => {}));
      await other.context().request.get(services.shop.baseUrl + '/api');
      throw new Error('in the end');
    };`, { services: { shop: { baseUrl: site.url, token: null, settings: {} } }, options: { screenshot: 'ON_FAILURE' } });
    assert.match(run.last.message, /^in the end/, run.told());
    assert.ok(run.all('console').some(({ text }) => text === 'from the page'), run.told());
    assert.ok(run.all('pageerror').some(({ text }) => /page broke/.test(text)), run.told());
    assert.deepEqual(run.all('limits').map(({ status }) => status), [429, 429], run.told());
    const screenshot = artifactBytes(place, 'screenshot.png');
    assert.deepEqual([screenshot.readUInt32BE(16), screenshot.readUInt32BE(20)], [640, 2000], 'its own page');
  });
}

test('a request of a context that the script has just made is watched', async (t) => {
  const site = await startSite(t, (request, response) => response.writeHead(429, { 'retry-after': '30' }).end('slow down'));
  const run = await runJob(createPlace(t), `export default async ({ context, services }) => {
    const own = await context.browser().newContext();
    await own.request.get(services.shop.baseUrl);
    const launched = await context.browser().browserType().launch();
    await (await launched.newContext()).request.get(services.shop.baseUrl);
    const persistent = await context.browser().browserType().launchPersistentContext(process.env.TMPDIR + '/own');
    await persistent.request.get(services.shop.baseUrl);
    await persistent.close();
    await launched.close();
  };`, { services: { shop: { baseUrl: site.url, token: null, settings: {} } } });
  assert.deepEqual(run.all('limits').map(({ status }) => status), [429, 429, 429], run.told());
});

test('the screenshot of a failure shows the page that the script worked with last', async (t) => {
  const place = createPlace(t);
  const run = await runJob(place, `export default async ({ page, context }) => {
    const own = await context.browser().newContext({ viewport: { width: 640, height: 480 } });
    const other = await own.newPage();
    await page.goto('data:text/html,first');
    await other.setContent('<h1>last</h1>');
    throw new Error('in the end');
  };`, { options: { screenshot: 'ON_FAILURE' } });
  assert.match(run.last.message, /^in the end/, run.told());
  assert.equal(artifactBytes(place, 'screenshot.png').readUInt32BE(16), 640);
});

test('a context of the script may record a video', async (t) => {
  const place = createPlace(t);
  const run = await runJob(place, `import fs from 'node:fs'; import os from 'node:os';
    export default async ({ context }) => {
      const own = await context.browser().newContext({ recordVideo: { dir: os.tmpdir() } });
      const page = await own.newPage();
      await page.goto('data:text/html,<h1>film</h1>');
      await own.close();
      return fs.statSync(await page.video().path()).size > 0;
    };`);
  assert.equal(run.last.value, true, run.told());
});

test('calls of context.request have their own names, and errors the place in the script', async (t) => {
  const site = await startSite(t, (_request, response) => response.writeHead(404).end('x'));
  const run = await runJob(createPlace(t), `export default async ({ context, page, input }) => {
    const told = [];
    for (const request of [context.request, page.request]) {
      for (const name of ['fetch', 'get', 'post', 'put', 'patch', 'delete', 'head']) {
        await request[name](input.url, { failOnStatusCode: true }).catch((error) => told.push(error.message.split('\\n')[0]));
      }
    }
    return told;
  };`, { input: { url: site.url }, services: { site: { baseUrl: site.url } } });
  const names = ['fetch', 'get', 'post', 'put', 'patch', 'delete', 'head'].map((name) => `apiRequestContext.${name}: 404 Not Found`);
  assert.deepEqual(run.last.value, [...names, ...names], run.told());
});

for (const [what, handle] of [
  ['waits for it', 'const crash = page.waitForEvent("crash"); await page.goto("chrome://crash").catch(() => {}); await crash;'],
  ['catches the error', 'await page.goto("chrome://crash").catch(() => {}); await page.title().catch(() => {});'],
  ['listens for it', 'let crashed; const once = new Promise((resolve) => page.on("crash", resolve)); page.goto("chrome://crash").catch(() => {}); await once;'],
]) {
  test(`a crash that the script handles does not end the run (it ${what})`, async (t) => {
    const run = await runJob(createPlace(t), `export default async ({ page, context }) => {
      ${handle}
      const next = await context.newPage();
      await next.goto('data:text/html,<title>again</title>');
      await page.close();
      return next.title();
    };`);
    assert.deepEqual([run.code, run.last.value], [0, 'again'], run.told());
    assert.ok(run.all('warning').some(({ text }) => /the page crashed at/.test(text)), run.told());
  });
}

test('a crash of a page that the script does not need does not end the run, however long it does nothing', async (t) => {
  const run = await runJob(createPlace(t), `export default async ({ page, context }) => {
    const other = await context.newPage();
    await other.goto('chrome://crash').catch(() => {});
    await new Promise((resolve) => { setTimeout(resolve, 17_000); });
    return page.title();
  };`);
  assert.deepEqual([run.code, run.last.value], [0, ''], run.told());
});

test('a crash that the script does not handle is PAGE_CRASHED', async (t) => {
  const run = await runJob(createPlace(t), 'export default async ({ page }) => { await page.goto("chrome://crash"); };');
  assert.deepEqual([run.code, run.last.code], [72, 'PAGE_CRASHED'], run.told());
});

/** Ways out of Node, to `host` and `port`. Each resolves if something was reached. */
const WAYS_OUT = {
  'node:http': '(await import("node:http")).get({ host, port }, resolve).on("error", reject)',
  'node:https': '(await import("node:https")).get({ host, port, rejectUnauthorized: false }, resolve).on("error", reject)',
  'node:http2': '{ const session = (await import("node:http2")).connect(`http://${host}:${port}`); session.on("error", reject); session.request({}).on("response", resolve).on("error", reject); }',
  'node:net with a port and a host': '(await import("node:net")).connect(port, host, resolve).on("error", reject)',
  'node:net with options': '(await import("node:net")).connect({ port, host }, resolve).on("error", reject)',
  'node:net with a socket': 'new (await import("node:net")).Socket().connect(port, host, resolve).on("error", reject)',
  'node:net without a host': '(await import("node:net")).connect(port, resolve).on("error", reject)',
  'node:tls': '(await import("node:tls")).connect({ port, host }, resolve).on("error", reject)',
  fetch: 'fetch(`http://${host}:${port}`).then(resolve, reject)',
  'node:dns': '(await import("node:dns")).lookup("example.com", (error, address) => (error ? reject(error) : resolve(address)))',
  'node:dns, a record': '(await import("node:dns")).resolveTxt("example.com", (error, records) => (error ? reject(error) : resolve(records)))',
  'node:dns, a resolver': 'new (await import("node:dns")).Resolver().resolve4("example.com", (error, records) => (error ? reject(error) : resolve(records)))',
  'node:dns/promises': '(await import("node:dns/promises")).lookup("example.com").then(resolve, reject)',
  'node:dns/promises, a resolver': 'new (await import("node:dns/promises")).Resolver().resolve("example.com").then(resolve, reject)',
  'node:dgram': '{ const s = (await import("node:dgram")).createSocket("udp4"); try { s.send("x", port, host, resolve); } catch (error) { reject(error); } finally { s.close(); } }',
};

test("with a proxy, none of Node's own clients goes around it", async (t) => {
  const place = createPlace(t);
  const { server, username, password } = await startTinyproxy(place);
  let reached = 0;
  const target = net.createServer((socket) => { reached += 1; socket.destroy(); });
  await new Promise((resolve) => { target.listen(0, '127.0.0.1', () => resolve(undefined)); });
  place.closers.push(() => { target.close(); });
  const { port } = /** @type {net.AddressInfo} */ (target.address());
  const ways = Object.entries(WAYS_OUT).map(([name, way]) => `[${JSON.stringify(name)}, (host, port) => new Promise(async (resolve, reject) => { ${way}; })]`);
  const run = await runJob(place, `export default async ({ input }) => {
    const told = {};
    for (const [name, way] of [${ways.join(',\n')}]) told[name] = await way('127.0.0.1', input.port).then(() => 'went around', (error) => error.message);
    return told;
  };`, { input: { port }, proxy: { server, username, password } });
  assert.equal(run.code, 0, run.told());
  for (const name of Object.keys(WAYS_OUT)) assert.match(run.last.value[name], /does not go through the proxy\. Use context\.request or the page instead\./, name);
  assert.equal(reached, 0);
});

test('a connection at the top level of the script does not go around the proxy either', async (t) => {
  const place = createPlace(t);
  const { server, username, password } = await startTinyproxy(place);
  const site = await startSite(t, (_request, response) => response.end('x'));
  const run = await runJob(place, `await fetch(${JSON.stringify(site.url)});\nexport default () => 1;`, { proxy: { server, username, password } });
  assert.match(run.last.message, /fetch does not go through the proxy/, run.told());
  assert.equal(site.requests.length, 0);
});

for (const [what, open] of OWN_CONTEXTS) {
  test(`with a proxy, pages of ${what} go through it`, async (t) => {
    const place = createPlace(t);
    const { server, username, password, log } = await startTinyproxy(place);
    const site = await startSite(t, (_request, response) => response.end('<title>reached</title>'));
    const run = await runJob(place, `export default async ({ context, input }) => {
      ${open}
      await other.goto(input.url);
      const status = (await other.context().request.get(input.url + '/api')).status();
      return [await other.title(), status];
    };`, { input: { url: site.url }, proxy: { server, username, password } });
    assert.deepEqual(run.last.value, ['reached', 200], run.told());
    assert.match(String(site.requests[0].headers.via), /tinyproxy/);
    // context.request goes through a tunnel, which adds no header.
    assert.match(log(), new RegExp(`CONNECT ${site.host}`));
  });
}

test("a proxy of the script's own stands for a browser that it launches", async (t) => {
  const place = createPlace(t);
  const { server, username, password } = await startTinyproxy(place);
  const site = await startSite(t, (_request, response) => response.end('<title>reached</title>'));
  const run = await runJob(place, `export default async ({ context, input }) => {
    const browser = await context.browser().browserType().launch({ proxy: input.proxy });
    const page = await browser.newPage();
    await page.goto(input.url);
    return page.title();
  };`, { input: { url: site.url, proxy: { server, username, password, bypass: '<-loopback>' } } });
  assert.equal(run.last.value, 'reached', run.told());
  assert.match(String(site.requests[0].headers.via), /tinyproxy/);
});

test('without a proxy Node connects as usual', async (t) => {
  const site = await startSite(t, (_request, response) => response.end('x'));
  const run = await runJob(createPlace(t), `import http from 'node:http';
    export default ({ input }) => new Promise((resolve, reject) => { http.get(input.url, (response) => resolve(response.statusCode)).on('error', reject); });`, { input: { url: site.url } });
  assert.equal(run.last.value, 200, run.told());
});

test('a viewport that is null is the window, as in Playwright, and an absent one is 1280x720', async (t) => {
  const script = 'export default async ({ page }) => [page.viewportSize(), await page.evaluate(() => [innerWidth, innerHeight])];';
  const window = await runJob(createPlace(t), script, { options: { viewport: null, video: 'ALWAYS' } });
  assert.equal(window.last.value[0], null, window.told());
  const absent = await runJob(createPlace(t), script, { options: {} });
  assert.deepEqual(absent.last.value, [{ width: 1280, height: 720 }, [1280, 720]], absent.told());
});

test('what a stopped run waited for holds no part of a secret, however long it is', async (t) => {
  const place = createPlace(t);
  const token = 'tok-0123456789-abcdefghijklmnopqrstuvw';
  const script = `export default async ({ page, log, input }) => {
    setTimeout(() => log('ready'), 300);
    await page.locator('x'.repeat(input.before) + input.token).click({ timeout: 0 });
  };`;
  for (const before of [0, 100, 160, 180, 199]) {
    const runner = startRunner(place, jobFor(place, script, { input: { token, before }, profile: { secrets: { TOKEN: token } } }));
    await runner.event('log', ({ text }) => text === 'ready');
    runner.child.kill('SIGTERM');
    const { last, told } = await runner.end();
    assert.match(last.message, /^stopped by SIGTERM while the script waited for /, told());
    assert.ok(!last.message.includes('tok-'), told());
  }
});

for (const [what, body, expected] of /** @type {[string, string, RegExp][]} */ ([
  ['a call', "await page.locator('#never').click({ timeout: 0 });", /locator\.click\("#never"\) at script\.mjs:2:\d+, for \d+\.\d s$/],
  ['an event', "await page.waitForEvent('download', { timeout: 0 });", /page\.waitForEvent\("download"\) at script\.mjs:2:\d+, for/],
  ['fetch', 'await fetch(input.url);', /fetch\("http:.*"\) at script\.mjs:2:\d+, for/],
  ['a timer', 'await new Promise((resolve) => { setTimeout(resolve, 1e6); });', /the script waited for a timer at script\.mjs:1:\d+; a timer at script\.mjs:2:\d+$|a timer at script\.mjs:2:\d+$/],
  ['a page', "await page.goto(input.url, { timeout: 0 });", /page\.goto\("http:.*"\) at script\.mjs:2:\d+, for/],
])) {
  test(`a run that is stopped says what it waited for (${what})`, async (t) => {
    const place = createPlace(t);
    const silent = net.createServer(() => {});
    await once(silent.listen(0, '127.0.0.1'), 'listening');
    place.closers.push(() => { silent.close(); });
    const { port } = /** @type {net.AddressInfo} */ (silent.address());
    const runner = startRunner(place, jobFor(place, `export default async ({ page, log, input }) => { setTimeout(() => log('ready'), 300);\n  ${body}\n};`, { input: { url: `http://127.0.0.1:${port}/` } }));
    await runner.event('log', ({ text }) => text === 'ready');
    runner.child.kill('SIGTERM');
    const { last, told } = await runner.end();
    assert.equal(last.code, 'TERMINATED');
    assert.match(last.message, /^stopped by SIGTERM while the script waited for /, told());
    assert.match(last.message, expected);
  });
}

test('nothing of a run is left in the directory of the artifacts but its artifacts', async (t) => {
  const place = createPlace(t);
  await runJob(place, 'export default async ({ artifact }) => { await artifact("a.txt", "x"); };', { options: { screenshot: 'ALWAYS' } });
  assert.deepEqual(fs.readdirSync(place.artifacts).sort(), ['a.txt', 'screenshot.png']);
});
