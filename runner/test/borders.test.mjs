/** What scripts and pages hand over: ill-formed text, the bounds, and names of files. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { BOUNDS } from '../src/bounds.mjs';
import { createArtifacts } from '../src/artifacts.mjs';
import { noMask } from '../src/mask.mjs';
import { toResult } from '../src/script.mjs';
import { artifactBytes, createPlace, runJob } from './harness.mjs';

/** @param {any} value an event, or a part of one */
function assertWellFormed(value) {
  if (typeof value === 'string') return assert.ok(value.isWellFormed(), JSON.stringify(value));
  if (value === null || typeof value !== 'object') return undefined;
  return Object.entries(value).forEach((entry) => entry.forEach((part) => assertWellFormed(part)));
}

test('half an emoji arrives as U+FFFD by every way out of a script and a page', async (t) => {
  const place = createPlace(t);
  const run = await runJob(place, `export default async ({ page, log, step, progress, artifact }) => {
    const half = 'ab\\u{1F600}'.slice(0, 3);
    log(half); log.error({ [half]: half }); console.log(half); process.stdout.write(half + '\\n');
    progress(0.5, half);
    await step(half, () => {});
    const thrown = page.waitForEvent('pageerror');
    await page.evaluate((text) => { console.log(text); console.error(text); setTimeout(() => { throw new Error(text); }); }, half);
    await thrown;
    const name = await artifact(half + '.txt', half, { contentType: 'text/plain' });
    return { title: half, [half]: [half], name };
  };`);
  assert.equal(run.code, 0, run.told());
  assertWellFormed(run.events);
  assert.deepEqual(run.last.value, { title: 'ab\u{FFFD}', 'ab\u{FFFD}': ['ab\u{FFFD}'], name: 'ab\u{FFFD}.txt' });
  assert.ok(fs.existsSync(path.join(place.artifacts, 'ab\u{FFFD}.txt')));
  for (const type of ['log', 'console', 'pageerror', 'step', 'progress', 'artifact']) {
    assert.ok(run.all(type).some((event) => JSON.stringify(event).includes('ab\u{FFFD}')), `${type}: ${run.told()}`);
  }
});

test('half an emoji that is thrown is a SCRIPT_ERROR', async (t) => {
  for (const thrown of ['new Error(half)', 'half', '{ [half]: half }', 'Object.assign(new Error("a"), { name: half, cause: half })']) {
    const run = await runJob(createPlace(t), `export default () => { const half = 'ab\\u{1F600}'.slice(0, 3); throw ${thrown}; };`);
    assert.deepEqual([run.code, run.last.code], [1, 'SCRIPT_ERROR'], run.told());
    assertWellFormed(run.events);
  }
});

test('text without a line end is told, and ends before the next event', async (t) => {
  const run = await runJob(createPlace(t), `import { execFileSync } from 'node:child_process';
    export default () => {
      execFileSync('printf', ['from a child'], { stdio: 'inherit' });
      process.stdout.write('from the script');
      return 1;
    };`, {}, { wrap: ['sh', '-c', '"$@" | grep -v "^from a child$"', 'sh'] });
  assert.equal(run.last.value, 1, run.told());
  assert.ok(run.all('log').some(({ text }) => text === 'from the script'), run.told());
});

test('a line that is told before its end is no two lines', async (t) => {
  const run = await runJob(createPlace(t), `export default async ({ page }) => {
    process.stdout.write('working');
    await page.waitForTimeout(1500);
    process.stdout.write('');
    process.stdout.write('\\n\\nnext\\n');
  };`);
  assert.deepEqual(run.all('log').map(({ text }) => text), ['working', '', 'next'], run.told());
});

test('a text of many lines is told whole, in pieces of whole lines', async (t) => {
  const run = await runJob(createPlace(t), `export default ({ log }) => {
    log(Array.from({ length: 1000 }, (_, n) => n + 'x'.repeat(100)).join('\\n'));
    log.error('é\\n'.repeat(20_000));
    log('');
    log('\\n');
    process.stdin.on('data', () => {});
    return process.stdin.toArray();
  };`);
  assert.deepEqual(run.last.value, [], run.told());
  const lines = (/** @type {string} */ level) => run.all('log').filter((event) => event.level === level).map(({ text }) => text).join('\n').split('\n');
  assert.deepEqual(lines('info'), [...Array.from({ length: 1000 }, (_, n) => n + 'x'.repeat(100)), '', '', '']);
  assert.equal(lines('error').filter((line) => line === 'é').length, 20_000);
  for (const { text } of run.all('log')) assert.ok(text.length <= BOUNDS.textCharacters);
});

test('a result may be as deep and as large as the bounds, and no deeper or larger', () => {
  const nested = (/** @type {number} */ depth, /** @type {string} */ open, /** @type {string} */ close) => JSON.parse(`${open.repeat(depth)}1${close.repeat(depth)}`);
  for (const [open, close] of [['[', ']'], ['{"a[{\\"":', '}'], ['[{"a":', '}]']]) {
    const levels = open === '[{"a":' ? 2 : 1;
    const fits = nested(BOUNDS.resultDepth / levels, open, close);
    assert.deepEqual(JSON.stringify(toResult(fits)), JSON.stringify(fits));
    for (const depth of [BOUNDS.resultDepth / levels + 1, 126, 127, 128, 500, 5000]) {
      assert.throws(() => toResult(nested(depth, open, close)), { code: 'RESULT_TOO_DEEP', retryable: false });
    }
  }
  /** @type {any} */
  let bottomless = [];
  for (let n = 0; n < 200_000; n += 1) bottomless = [bottomless];
  assert.throws(() => toResult(bottomless), { code: 'RESULT_TOO_DEEP', retryable: false });
  for (const text of ['x', 'é', '報', '\u{1F600}', '\n', '\0', '\ud83d']) {
    const size = Buffer.byteLength(JSON.stringify(text.toWellFormed())) - 2;
    const most = Math.floor((BOUNDS.resultBytes - 2) / size);
    assert.equal(toResult(text.repeat(most)), text.repeat(most).toWellFormed());
    assert.throws(() => toResult(text.repeat(most + 1)), { code: 'RESULT_TOO_LARGE', retryable: false });
  }
  for (const text of ['x', '\\', '"[', '\ud83d']) {
    assert.throws(() => toResult([text.repeat(16_000_000)]), { code: 'RESULT_TOO_LARGE', retryable: false });
  }
});

/**
 * @param {import('node:test').TestContext} t
 */
function directArtifacts(t) {
  const place = createPlace(t);
  /** @type {any[]} */
  const events = [];
  const emitter = /** @type {any} */ ({ emit: (/** @type {string} */ _type, /** @type {any} */ fields) => events.push(fields) });
  return { ...createArtifacts(place.artifacts, emitter, noMask), events, place };
}

test('a name keeps the letters of every script, and loses only what a file name cannot hold', async (t) => {
  const { write, place } = directArtifacts(t);
  const longest = `${'報'.repeat(83)}a.txt`;
  for (const [wanted, kept] of [
    ['हिन्दी.txt', 'हिन्दी.txt'], ['ไทย.csv', 'ไทย.csv'], ['עִבְרִית.txt', 'עִבְרִית.txt'], ['می‌خواهم.txt', 'می‌خواهم.txt'],
    ['cafe\u0301.txt', 'cafe\u0301.txt'], ['👩‍💻.png', '👩‍💻.png'], ["O'Neil & Söhne (1), a+b=c@d.csv", "O'Neil & Söhne (1), a+b=c@d.csv"],
    ['報'.repeat(70) + '.txt', '報'.repeat(70) + '.txt'], [longest, longest],
    ['a/b\\c', 'a_b_c'], ['../../etc/passwd', '__.._etc_passwd'], ['.hidden', '_hidden'], ['a\0b\nc\u202ed\u200be', 'a_b_c_d_e'],
    ['a<b>c:d"e|f?g*h', 'a_b_c_d_e_f_g_h'], ['half\ud83d.txt', 'half\u{FFFD}.txt'], ['no extension', 'no extension'],
    ['archive.with.a-very-long-ending-that-is-no-extension', 'archive.with.a-very-long-ending-that-is-no-extension'],
  ]) {
    assert.equal(await write(wanted, 'x'), kept);
    assert.equal(fs.readFileSync(path.join(place.artifacts, kept), 'utf8'), 'x');
  }
  const second = await write(longest, 'y');
  assert.equal(second, `${'報'.repeat(83)}-2.txt`);
  assert.equal(Buffer.byteLength(second), BOUNDS.artifactNameBytes);
  assert.equal(await write('CAF\u00c9.txt', 'z'), 'CAF\u00c9-2.txt', 'the same name on a file system that ignores case');
  assert.deepEqual(fs.readdirSync(place.artifacts).filter((name) => name.startsWith('.')), []);
});

test('what does not fit is an error that names the bound, and the script is told in vain of nothing', async (t) => {
  const { write, events, place } = directArtifacts(t);
  const bytes = BOUNDS.artifactNameBytes;
  await assert.rejects(write('報'.repeat(100) + '.txt', 'x'), { name: 'RangeError', message: /304 bytes of UTF-8\. .*255/ });
  await assert.rejects(write('a'.repeat(bytes + 1), 'x'), RangeError);
  await assert.rejects(write('', 'x'), /non-empty/);
  await assert.rejects(write(/** @type {any} */ (7), 'x'), /non-empty string/);
  await assert.rejects(write('a', /** @type {any} */ ({})), /a string or bytes/);
  for (const type of ['x'.repeat(300), 'text', 'text/plain\nx', 7, '', `text/${'x'.repeat(200)}`]) {
    await assert.rejects(write('a', 'x', /** @type {any} */ (type)), /content type/);
  }
  assert.deepEqual(events, []);
  await write('a'.repeat(bytes), 'x', 'text/plain; charset="utf-8"');
  for (let n = 1; n < BOUNDS.artifacts; n += 1) await write('same.txt', String(n));
  for (const name of ['same.txt', 'other']) await assert.rejects(write(name, 'x'), { name: 'RangeError', message: /at most 200 files/ });
  assert.equal(events.length, BOUNDS.artifacts);
  assert.equal(fs.readdirSync(place.artifacts).length, BOUNDS.artifacts);
});

test('a write that fails uses up neither a name nor a place', async (t) => {
  const { write, place } = directArtifacts(t);
  fs.writeFileSync(place.artifacts, 'a file in the place of the directory');
  await assert.rejects(write('a.txt', 'x'));
  fs.rmSync(place.artifacts);
  assert.equal(await write('a.txt', 'x'), 'a.txt');
});

test('artifact number 201 is an error that the script may handle, and recordings are kept all the same', async (t) => {
  const place = createPlace(t);
  const run = await runJob(place, `export default async ({ artifact }) => {
    const kept = await Promise.allSettled(Array.from({ length: 203 }, (_, n) => artifact('a' + n, 'x')));
    return kept.filter(({ status }) => status === 'rejected').map(({ reason }) => reason.message);
  };`, { options: { screenshot: 'ALWAYS' } });
  assert.equal(run.code, 0, run.told());
  assert.equal(run.last.value.length, 3);
  assert.match(run.last.value[0], /a200 was not kept: a script may keep at most 200 files/);
  assert.equal(run.all('artifact').length, BOUNDS.artifacts + 1);
  assert.ok(artifactBytes(place, 'screenshot.png').length > 0);
});

test('an artifact that does not fit fails a script that does not handle it, for good', async (t) => {
  const run = await runJob(createPlace(t), 'export default async ({ artifact }) => {\n  await artifact("a".repeat(300), "x");\n};');
  assert.deepEqual([run.last.code, run.last.retryable], ['SCRIPT_ERROR', false], run.told());
  assert.match(run.last.message, /^RangeError: the artifact name a{40}\.\.\. has 300 bytes of UTF-8\. A name may have at most 255\. \(script\.mjs:2:9\)$/);
});

test('a secret that is written in pieces is masked, also where a line is told before its end', async (t) => {
  const token = 'tok-0123456789-abcdefghijklmnopqrstuvw';
  const { all, last, told } = await runJob(createPlace(t), `export default async ({ page, input }) => {
    process.stdout.write('first: ' + input.token.slice(0, 20));
    await page.waitForTimeout(1500);
    process.stdout.write(input.token.slice(20) + ', second: ' + 'x'.repeat(65_540) + input.token.slice(0, 7));
    process.stdout.write(input.token.slice(7) + '\\nlast: ' + input.token.slice(0, 9));
  }`, { input: { token }, profile: { secrets: { TOKEN: token } } });
  assert.equal(last.value, null, told());
  const lines = all('log').map(({ text }) => text);
  assert.equal(lines.join('').replace(/x+\.\.\. \(\d+ more characters\)/, ''), 'first: ***, second: ***last: tok-01234', told());
});
