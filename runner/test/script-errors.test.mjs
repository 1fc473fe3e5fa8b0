/** Scripts that cannot be loaded, that throw, or whose result cannot be sent. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createPlace, runJob } from './harness.mjs';

/**
 * @type {[string, string,
 *   { code: string, retryable: boolean, message: RegExp, browser?: boolean }][]}
 */
const CASES = [
  ['a syntax error has its line and column', 'export default async () => {\n  const a = 1;\n  const b = = 2;\n};',
    { code: 'SCRIPT_SYNTAX', retryable: false, message: /^SyntaxError: Unexpected token '=' \(script\.mjs:3:13\)$/ }],
  ['a name that a built-in does not export', "import fs, {\n  nope } from 'node:fs';\nexport default () => {};",
    { code: 'SCRIPT_SYNTAX', retryable: false, message: /does not provide an export named 'nope' \(script\.mjs:2/ }],
  ['a package', "import _ from 'lodash';\nexport default () => {};",
    { code: 'SCRIPT_SYNTAX', retryable: false, message: /imports lodash, which does not exist here\. .*node:/ }],
  ['a package that the runner itself uses', "import _ from 'playwright-core';\nexport default () => {};",
    { code: 'SCRIPT_SYNTAX', retryable: false, message: /imports playwright-core, which does not exist here/ }],
  ['no default export', 'export const main = () => {};',
    { code: 'SCRIPT_NO_EXPORT', retryable: false, message: /must export a function as default, but it exports main/ }],
  ['a default export that is not a function', 'export default 42;',
    { code: 'SCRIPT_NO_EXPORT', retryable: false, message: /must export a function as default, but its default export is of type number/ }],
  ['a default export that was called already', 'export default (async () => 1)();',
    { code: 'SCRIPT_NO_EXPORT', retryable: false, message: /its default export is a promise: the function was called already/ }],
  ['a default export that is an object', 'export default { async run() {} };',
    { code: 'SCRIPT_NO_EXPORT', retryable: false, message: /its default export is of type object/ }],
  ['a generator, of which a call runs nothing', 'export default function* main() { yield 1; }',
    { code: 'SCRIPT_NO_EXPORT', retryable: false, message: /its default export is a generator/ }],
  ['an async generator', 'export default async function* () { yield 1; }',
    { code: 'SCRIPT_NO_EXPORT', retryable: false, message: /its default export is a generator/ }],
  ['a class', 'export default class Main {}',
    { code: 'SCRIPT_NO_EXPORT', retryable: false, message: /its default export is a class/ }],
  ['top-level code that throws', '\nJSON.parse("{");\nexport default () => {};',
    { code: 'SCRIPT_ERROR', retryable: true, message: /^SyntaxError: .*JSON.* \(script\.mjs:2:6\)$/ }],
  ['a thrown error has its line', 'export default async () => {\n\n  throw new TypeError("no such thing");\n};',
    { code: 'SCRIPT_ERROR', retryable: true, message: /^TypeError: no such thing \(script\.mjs:3:9\)$/, browser: true }],
  ["an error of Playwright has the script's line", 'export default async ({ page }) => {\n  await page.click("#none", { timeout: 100 });\n};',
    { code: 'SCRIPT_ERROR', retryable: true, message: /^TimeoutError: page\.click: Timeout 100ms exceeded\. \(script\.mjs:2:14\)\nCall log:\n  - waiting/, browser: true }],
  ['a thrown value that is not an error', 'export default async () => { throw { reason: 7 }; };',
    { code: 'SCRIPT_ERROR', retryable: true, message: /^the script threw \{ reason: 7 \}$/, browser: true }],
  ['a rejection that is not awaited', 'export default () => {\n  Promise.reject(new Error("stray"));\n  return new Promise(() => setInterval(() => {}, 1e6));\n};',
    { code: 'SCRIPT_ERROR', retryable: true, message: /^stray \(script\.mjs:2:18\)$/, browser: true }],
  ['process.exit', 'export default async () => {\n  process.exit(0);\n};',
    { code: 'SCRIPT_ERROR', retryable: true, message: /called process\.exit\(0\) \(script\.mjs:2:11\)/, browser: true }],
  ['process.exitCode', 'export default async () => { process.exitCode = 3; return 1; };',
    { code: 'SCRIPT_ERROR', retryable: true, message: /^the script set process\.exitCode to 3$/, browser: true }],
  ["what only a page has", 'export default async () => document.title;',
    { code: 'SCRIPT_ERROR', retryable: false, message: /^ReferenceError: document is not defined \(script\.mjs:1:\d+\)\. Only pages have it: `await page\.evaluate/, browser: true }],
  ['an address that is none', 'export default async ({ page }) => { await page.goto("shop.example"); };',
    { code: 'SCRIPT_ERROR', retryable: false, message: /Cannot navigate to invalid URL/, browser: true }],
  ['a port that Chromium refuses', 'export default async ({ page }) => { await page.goto("http://127.0.0.1:1/"); };',
    { code: 'NAVIGATION', retryable: false, message: /net::ERR_UNSAFE_PORT/, browser: true }],
  ['a result that is a function', 'export default () => () => {};',
    { code: 'RESULT_NOT_JSON', retryable: false, message: /function/, browser: true }],
  ['a circular result', 'export default () => { const a = {}; a.a = a; return a; };',
    { code: 'RESULT_NOT_JSON', retryable: false, message: /circular.*property 'a' closes the circle/is, browser: true }],
  ['a result of more than 1 MiB', 'export default () => "x".repeat(1024 * 1024);',
    { code: 'RESULT_TOO_LARGE', retryable: false, message: /1048578 bytes .* more than 1048576/, browser: true }],
];

for (const [name, script, expected] of CASES) {
  test(name, async (t) => {
    const run = await runJob(createPlace(t), script);
    assert.equal(run.last.type, 'failure', run.told());
    assert.equal(run.last.code, expected.code, run.told());
    assert.match(run.last.message, expected.message);
    assert.equal(run.last.retryable, expected.retryable);
    assert.ok(run.last.closingMs >= 0, run.told());
    assert.equal(run.code, 1);
    assert.equal(run.all('browser').length, expected.browser ? 1 : 0, 'a script that does not load costs no browser');
  });
}

test('a result of exactly 1 MiB is sent whole, and node: built-ins can be imported', async (t) => {
  const run = await runJob(createPlace(t), `import { createHash } from 'node:crypto';
    export default () => 'x'.repeat(1024 * 1024 - 2 - createHash('md5').update('a').digest('hex').length) + createHash('md5').update('a').digest('hex');`);
  assert.equal(run.code, 0, run.told().slice(0, 2000));
  assert.equal(run.last.value.length, 1024 * 1024 - 2);
});

test('a failed step is reported, and the script gets the error', async (t) => {
  const run = await runJob(createPlace(t), `export default async ({ step }) => {
    try { await step('outer', () => step('inner', () => { throw new Error('in the middle'); })); } catch (error) { return error.message; }
  };`);
  assert.equal(run.last.value, 'in the middle', run.told());
  assert.deepEqual(run.all('step').map(({ name, status, error }) => [name, status, error]), [
    ['outer', 'begin', undefined],
    ['inner', 'begin', undefined],
    ['inner', 'fail', 'in the middle (script.mjs:2:65)'],
    ['outer', 'fail', 'in the middle (script.mjs:2:65)'],
  ]);
});
