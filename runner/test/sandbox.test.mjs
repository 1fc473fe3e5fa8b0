/**
 * Chromium's sandbox and the descriptors it inherits: as root, as another user, and where user
 * namespaces are not permitted. The last two need root to become another user.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { chromiumOf, createPlace, jobFor, runJob, startRunner } from './harness.mjs';

const NOBODY = 65534;
const root = process.getuid?.() === 0;
const AS_NOBODY = ['setpriv', '--reuid', String(NOBODY), '--regid', String(NOBODY), '--clear-groups'];
/** A user namespace in which no other can be made, without the capability to change that. */
const NO_NAMESPACES = ['unshare', '-U', `--map-user=${NOBODY}`, '--keep-caps', 'sh', '-c',
  'echo 0 > /proc/sys/user/max_user_namespaces && exec setpriv --inh-caps=-all --ambient-caps=-all "$@"', 'sh'];

const skip = root ? false : 'needs root to become another user';
/**
 * Some machines (with Docker's default rules, for example) permit no user namespace, so no sandbox.
 */
const namespaces = root && (() => {
  try {
    execFileSync(AS_NOBODY[0], [...AS_NOBODY.slice(1), 'unshare', '-U', 'true'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
})();

/** @param {import('node:test').TestContext} t */
function placeOfNobody(t) {
  const place = createPlace(t);
  for (const directory of [place.root, place.tmp]) fs.chownSync(directory, NOBODY, NOBODY);
  return place;
}

test('as root the sandbox is off, with a warning', { skip }, async (t) => {
  const run = await runJob(createPlace(t), 'export default () => process.getuid();');
  assert.deepEqual([run.code, run.last.value, run.all('browser')[0].sandbox], [0, 0, false], run.told());
  assert.ok(run.all('warning').some(({ text }) => /sandbox is off because it does not run as root/.test(text)));
});

test('as root with the sandbox required, the launch fails', { skip }, async (t) => {
  const run = await runJob(createPlace(t), 'export default () => {};', { sandbox: 'on' });
  assert.deepEqual([run.code, run.last.code], [71, 'BROWSER_LAUNCH'], run.told());
  assert.match(run.last.message, /Running as root without --no-sandbox is not supported/);
});

for (const sandbox of ['auto', 'on']) {
  test(`as another user the sandbox is on (${sandbox}), without a home`, { skip: skip || (!namespaces && 'no user namespaces') }, async (t) => {
    const place = placeOfNobody(t);
    const run = await runJob(place, `export default async ({ page }) => {
      await page.goto('chrome://sandbox');
      return [process.getuid(), await page.locator('body').innerText()];
    };`, { sandbox }, { wrap: AS_NOBODY, env: { HOME: '/nonexistent' } });
    assert.deepEqual([run.code, run.all('browser')[0]?.sandbox, run.all('warning')], [0, true, []], run.told());
    assert.equal(run.last.value[0], NOBODY);
    assert.match(run.last.value[1], /You are adequately sandboxed/);
  });
}

test('where user namespaces are not permitted the sandbox is off, with a warning', { skip: skip || (!namespaces && 'no user namespaces') }, async (t) => {
  const place = placeOfNobody(t);
  const run = await runJob(place, 'export default () => 1;', {}, { wrap: [...AS_NOBODY, ...NO_NAMESPACES] });
  assert.deepEqual([run.code, run.last.value, run.all('browser')[0]?.sandbox], [0, 1, false], run.told());
  assert.deepEqual(run.all('warning').map(({ text }) => text), ["Chromium's sandbox is off because this system does not permit user namespaces"]);
});

test('where user namespaces are not permitted and the sandbox is required, the launch fails', { skip: skip || (!namespaces && 'no user namespaces') }, async (t) => {
  const place = placeOfNobody(t);
  const run = await runJob(place, 'export default () => 1;', { sandbox: 'on' }, { wrap: [...AS_NOBODY, ...NO_NAMESPACES] });
  assert.deepEqual([run.code, run.last.code], [71, 'BROWSER_LAUNCH'], run.told());
  assert.match(run.last.message, /No usable sandbox/);
});

test("Chromium inherits the shim's profile lock on descriptor 198", async (t) => {
  const place = createPlace(t);
  const lock = path.join(place.root, 'lock');
  fs.writeFileSync(lock, '');
  const runner = startRunner(place, jobFor(place, `export default async ({ log, signal }) => {
    log('ready');
    await new Promise((resolve) => signal.addEventListener('abort', resolve));
  };`), { wrap: ['bash', '-c', 'exec 198>"$0"; exec "$@"', lock] });
  await runner.event('log', ({ text }) => text === 'ready');
  const browser = chromiumOf(place.root);
  assert.equal(fs.readlinkSync(`/proc/${browser?.pid}/fd/198`), lock);
  runner.child.kill('SIGTERM');
  await runner.end();
});
