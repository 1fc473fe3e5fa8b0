/** What is still under way when the script's function returns, and what the run says of it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createPlace, runJob } from './harness.mjs';
import { startSite } from './servers.mjs';

/** A site whose pages come late. @param {import('node:test').TestContext} t */
const lateSite = (t) => startSite(t, (_request, response) => { setTimeout(() => response.end('<title>late</title>'), 2000); });

/** What can fail, fails. */
for (const [what, body, api] of [
  ['fetch', 'fetch(input.url).then(({ status }) => log(status));', 'fetch'],
  ['fetch of a Request', 'fetch(new Request(input.url)).then(({ status }) => log(status));', 'fetch'],
  ['a wait for an event', 'page.waitForEvent("download").then((download) => download.path());', 'page.waitForEvent'],
  ["a wait for a context's event", 'context.waitForEvent("page").then((other) => other.close());', 'browserContext.waitForEvent'],
  ['a wait for a response', 'page.waitForResponse("**/never").then((response) => response.json());', 'page.waitForResponse'],
  ['a wait for a URL', 'page.waitForURL("**/never").then(() => page.title());', 'page.waitForURL'],
  ['a wait of a frame', 'page.mainFrame().waitForURL("**/never").then(() => page.title());', 'frame.waitForURL'],
  ['a wait for a navigation', 'page.waitForNavigation().then(() => page.title());', 'page.waitForNavigation'],
]) {
  test(`${what} that is not awaited fails for good, and says where`, async (t) => {
    const site = await lateSite(t);
    const run = await runJob(createPlace(t), `export default async ({ page, context, input, log }) => {\n  ${body}\n  return 1;\n};`, { input: { url: site.url } });
    assert.deepEqual([run.code, run.last.code, run.last.retryable], [1, 'SCRIPT_ERROR', false], run.told());
    const text = run.last.message.replace(/:\d+\)$/, ')');
    assert.equal(text, `${api}: it was still under way when the script returned, and is cut off. Await it, or return its promise. (script.mjs:2)`);
  });
}

/** What cannot fail is told. */
for (const [what, body, told] of /** @type {[string, string, RegExp | null][]} */ ([
  ['a timer', 'setTimeout(() => page.title(), 60_000);', / cut off: a timer at script\.mjs:2:\d+\. /],
  ['an interval', 'setInterval(() => log("tick"), 10);', / cut off: a timer at script\.mjs:2:\d+\. /],
  ['a sleep', '(await import("node:timers/promises")).setTimeout(60_000).then(() => page.title());', / cut off: a timer at script\.mjs:2:\d+\. /],
  ['a program', '(await import("node:child_process")).exec("sleep 60");', / cut off: a program at script\.mjs:2:\d+\. /],
  ['a request of node:http', '(await import("node:http")).get(input.url, () => log("late"));', / cut off: a connection at script\.mjs:2:\d+\. /],
  ['a server', '(await import("node:http")).createServer().listen(0);', / cut off: a server at script\.mjs:2:\d+\. /],
  ['a thread', 'new (await import("node:worker_threads")).Worker("setInterval(() => {}, 1e6)", { eval: true });', / cut off: a thread at script\.mjs:2:\d+\. /],
  ['many', 'for (let n = 0; n < 3; n += 1) setTimeout(() => {}, 60_000);\n[1, 2, 3, 4].map((n) => setTimeout(() => {}, 60_000));\nsetTimeout(() => {}, 60_000);\nsetTimeout(() => {}, 60_000);',
    / cut off: a timer at script\.mjs:2:\d+; a timer at script\.mjs:3:\d+; a timer at script\.mjs:4:\d+; and 1 more\. /],
  ['a timer that is cleared', 'clearTimeout(setTimeout(() => {}, 60_000));', null],
  ['a timer that Node does not wait for', 'setTimeout(() => {}, 60_000).unref(); AbortSignal.timeout(60_000);', null],
  ['what is done', 'await new Promise((resolve) => setTimeout(resolve, 1)); await (await import("node:fs/promises")).readFile("/etc/hostname"); await (await fetch(input.now)).text(); const { spawn, execSync } = await import("node:child_process"); execSync("true"); await new Promise((resolve) => { spawn("true").on("close", resolve); });', null],
  ['what Playwright begins for the script', 'await page.goto(input.now); await page.waitForSelector("title", { state: "attached" }); await context.request.get(input.now); page.waitForEvent("download").catch(() => {});', null],
])) {
  test(`${what} is ${told ? 'told' : 'not told'}`, async (t) => {
    const site = await lateSite(t);
    const now = await startSite(t, (_request, response) => response.end('<title>now</title>'));
    const run = await runJob(createPlace(t), `export default async ({ page, context, input, log }) => {\n  ${body}\n  return 1;\n};`, { input: { url: site.url, now: now.url } });
    assert.deepEqual([run.code, run.last.value], [0, 1], run.told());
    const warnings = run.all('warning').map(({ text }) => text).filter((text) => /^Still under way/.test(text));
    if (told === null) assert.deepEqual(warnings, [], run.told());
    else assert.match(warnings[0], told, run.told());
  });
}

test('errors of waits are those of plain Playwright', async (t) => {
  const run = await runJob(createPlace(t), `export default async ({ page, context }) => {
    const told = [];
    const note = (wait) => wait.catch((error) => told.push(error.name + ' ' + error.message.split('\\n')[0]));
    const options = { timeout: 50 };
    await note(page.waitForEvent('popup', options));
    await note(page.waitForRequest('**/never', options));
    await note(page.waitForResponse('**/never', options));
    await note(page.waitForURL('**/never', options));
    await note(page.waitForNavigation(options));
    await note(page.mainFrame().waitForURL('**/never', options));
    await note(page.mainFrame().waitForNavigation(options));
    await note(context.waitForEvent('page', options));
    await note(page.locator('#never').waitFor(options));
    return told;
  };`);
  assert.deepEqual(run.last.value, [
    'TimeoutError page.waitForEvent: Timeout 50ms exceeded while waiting for event "popup"',
    'TimeoutError page.waitForRequest: Timeout 50ms exceeded while waiting for event "request"',
    'TimeoutError page.waitForResponse: Timeout 50ms exceeded while waiting for event "response"',
    'TimeoutError page.waitForURL: Timeout 50ms exceeded.',
    'TimeoutError page.waitForNavigation: Timeout 50ms exceeded.',
    'TimeoutError frame.waitForURL: Timeout 50ms exceeded.',
    'TimeoutError frame.waitForNavigation: Timeout 50ms exceeded.',
    'TimeoutError browserContext.waitForEvent: Timeout 50ms exceeded while waiting for event "page"',
    'TimeoutError locator.waitFor: Timeout 50ms exceeded.',
  ], run.told());
});

/** Errors that the script handles by itself are its own affair, as in Node. */
for (const [what, listen, fault, logged] of [
  ['rejections', 'process.on("unhandledRejection", (error) => log("mine: " + error.message));', 'Promise.reject(new Error("stray"));', 'mine: stray'],
  ['exceptions', 'process.on("uncaughtException", (error) => log("mine: " + error.message));', 'setTimeout(() => { throw new Error("stray"); });', 'mine: stray'],
  ['rejections as exceptions', 'process.on("uncaughtException", (error, origin) => log(origin + ": " + error.message));', 'Promise.reject(new Error("stray"));', 'unhandledRejection: stray'],
]) {
  test(`a script may handle ${what} by itself`, async (t) => {
    const run = await runJob(createPlace(t), `export default async ({ page, log }) => { ${listen} ${fault} await page.waitForTimeout(100); return 'went on'; };`);
    assert.equal(run.last.value, 'went on', run.told());
    assert.ok(run.all('log').some(({ text }) => text === logged), run.told());
  });
}

test('a handler that ends the process fails the run, and says so', async (t) => {
  const run = await runJob(createPlace(t), `export default async ({ page }) => {
    process.on('unhandledRejection', (error) => { console.error('fatal: ' + error.message); process.exit(3); });
    Promise.reject(new Error('stray'));
    await page.waitForTimeout(60_000);
  };`);
  assert.match(run.last.message, /^the script called process\.exit\(3\)/, run.told());
  assert.ok(run.all('log').some(({ text }) => text === 'fatal: stray'), run.told());
});
