/**
 * The runner's beginning and end: says hello, reads the job, runs it, says the last word and exits.
 *
 * Started by a Callboard worker's shim, one process per attempt. It must never exit without a last event while somebody
 * can read it, and never leave Chromium behind: playwright-core kills Chromium's process group when this process exits.
 */
import fs from 'node:fs';
import { createRequire } from 'node:module';
import { createEvents } from './events.mjs';
import { createMask } from './mask.mjs';
import { createWorkspace } from './workspace.mjs';
import { EXIT_WORKER_GONE, Failure } from './failure.mjs';
import { readJob } from './job.mjs';
import { run } from './run.mjs';
import { watchForStop } from './stop.mjs';

const { version } = JSON.parse(fs.readFileSync(new URL('../package.json', import.meta.url), 'utf8'));

const stop = watchForStop();
const events = createEvents(1, (error) => stop.orphaned(`stdout is broken: ${error.message}`));
events.emit('hello', { runner: 'playwright', version });

const exit = process.exit.bind(process); // a script's process.exit is made an error later
let ended = false;
/** @type {import('./run.mjs').Outcome | undefined} */
let decided;

/** @param {import('./run.mjs').Outcome} outcome @returns {never} */
function lastWord(outcome) {
  ended = true;
  if ('failure' in outcome) {
    const { code, message, retryable, exitCode } = outcome.failure;
    events.emitLast('failure', { code, message, retryable });
    return exit(stop.isOrphan() ? EXIT_WORKER_GONE : exitCode);
  }
  events.emitLast('result', { value: outcome.result });
  return exit(0);
}

const terminated = (/** @type {string} */ reason) => ({ failure: new Failure('TERMINATED', reason) });
// A result that is known stays a result, however long the browser takes to close.
stop.onDeadline(() => lastWord(decided
  ?? terminated(`${stop.signal.reason.message}; it did not stop in time and was killed`)));
process.on('exit', (code) => {
  if (ended) return;
  // Not by lastWord: nothing was left to wait for, or the script found a way to end the process.
  events.emitLast('failure', { code: 'SCRIPT_ERROR', message: `the script ended the process (exit code ${code})`, retryable: true });
  process.exitCode = 1;
});

try {
  const workspace = createWorkspace();
  const job = readJob(process.stdin, stop.orphaned);
  job.catch(() => {}); // awaited below, after the import
  // 0.3 s of work that does not need the job: done while it is on its way, or before, if the worker keeps a runner
  // waiting with its stdin open. By require, because import() reads all of it once more in search of export names and
  // takes nearly twice as long.
  /** @type {typeof import('playwright-core')} */
  const playwright = createRequire(import.meta.url)('playwright-core');
  const first = await Promise.race([job, stop.requested.then(terminated)]);
  if ('failure' in first) lastWord(first);
  else {
    const mask = createMask(first.secrets);
    events.maskWith(mask);
    const onDecided = (/** @type {import('./run.mjs').Outcome} */ outcome) => { decided = outcome; };
    lastWord(await run({ job: first, chromium: playwright.chromium, events, mask, stop, workspace, onDecided }));
  }
} catch (error) {
  const failure = error instanceof Failure ? error
    : new Failure('BROWSER_LAUNCH', `the runner could not start: ${/** @type {any} */ (error)?.message ?? error}`);
  lastWord({ failure });
}
