/**
 * The runner's entry point: says hello, reads the job, runs it, sends the last event and exits.
 *
 * A Callboard worker's shim starts one process per attempt. It never exits without a last event
 * while the worker can read it, and never leaves Chromium behind: playwright-core kills Chromium's
 * process group when this process exits.
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

const stop = watchForStop(process.env.CALLBOARD_GRACE_MS);
const events = createEvents(1, (error) => stop.orphaned(`stdout is broken: ${error.message}`));
events.emit('hello', { runner: 'playwright', version });

const exit = process.exit.bind(process); // run.mjs makes a script's process.exit an error
let ended = false;
/** @type {import('./run.mjs').Outcome | undefined} */
let decided;
/** @type {number | undefined} */
let decidedAt;
let isResultTold = false;

/** @param {import('./run.mjs').Outcome} outcome @returns {never} */
function lastWord(outcome) {
  ended = true;
  if ('failure' in outcome) {
    const { code, message, retryable, exitCode } = outcome.failure;
    // Rounded down: a failure because of a stop must not seem to be from before it.
    const closingMs = decidedAt === undefined ? undefined : Math.floor(performance.now() - decidedAt);
    events.end({ type: 'failure', fields: { code, message, retryable, closingMs } });
    return exit(stop.isOrphan() ? EXIT_WORKER_GONE : exitCode);
  }
  events.end(isResultTold ? undefined : { type: 'result', fields: { value: outcome.result } });
  return exit(0);
}

// A run that is stopped while it tidies up may be killed before its last word. What the script has
// done is known, and must not be done again.
stop.requested.then(() => {
  if (decided === undefined || 'failure' in decided) return;
  isResultTold = true;
  events.emit('result', { value: decided.result });
});

const terminated = (/** @type {string} */ reason) => ({ failure: new Failure('TERMINATED', reason) });
// A known result stays the result, however long the browser takes to close.
stop.onDeadline(() => lastWord(decided
  ?? terminated(`${stop.signal.reason.message}, and the run was killed because it did not stop in time`)));
process.on('exit', (code) => {
  if (ended) return;
  // lastWord did not run: nothing was left to wait for, or the script found a way to end the
  // process.
  const message = `the script ended the process or left nothing to wait for (exit code ${code})`;
  events.end({ type: 'failure', fields: { code: 'SCRIPT_ERROR', message, retryable: true } });
  process.exitCode = 1;
});

try {
  const workspace = createWorkspace();
  const job = readJob(process.stdin, stop.orphaned);
  job.catch(() => {}); // awaited below, after the import
  // Loading takes 0.3 s and does not need the job. It happens while the job is on its way, or
  // earlier if the worker keeps a runner waiting with its stdin open. It uses require, because
  // import() reads everything again to find the export names and takes nearly twice as long.
  /** @type {typeof import('playwright-core')} */
  const playwright = createRequire(import.meta.url)('playwright-core');
  const first = await Promise.race([job, stop.requested.then(terminated)]);
  if ('failure' in first) lastWord(first);
  else {
    const mask = createMask(first.secrets);
    events.maskWith(mask);
    const onDecided = (/** @type {import('./run.mjs').Outcome} */ outcome) => {
      decided = outcome;
      decidedAt = performance.now();
    };
    lastWord(await run({ job: first, chromium: playwright.chromium, events, mask, stop, workspace, onDecided }));
  }
} catch (error) {
  const failure = error instanceof Failure ? error
    : new Failure('BROWSER_LAUNCH', `the runner could not start: ${/** @type {any} */ (error)?.message ?? error}`);
  lastWord({ failure });
}
