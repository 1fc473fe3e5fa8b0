/**
 * One run from the job to its outcome: load, open, restore, record, execute. Then it keeps
 * recordings and closes the browser, whatever the outcome.
 *
 * Nothing waits without a bound once the outcome is known. main sends the outcome.
 */
import { createArtifacts } from './artifacts.mjs';
import { browserEnvironment } from './workspace.mjs';
import { captureConsole } from './console.mjs';
import { Failure, fromScriptError, scriptFrames } from './failure.mjs';
import { forwardPageEvents, watchForLoss } from './page-events.mjs';
import { loadScript, toResult } from './script.mjs';
import { createScriptApi } from './script-api.mjs';
import { openBrowser } from './browser.mjs';
import { prepareRecordings } from './recordings.mjs';
import { restoreSession, saveSession } from './session.mjs';
import { watchLimits } from './limits.mjs';
import { watchTraffic } from './traffic.mjs';
import { bounded } from './stop.mjs';

/**
 * Bounds of the steps after the outcome, in milliseconds: normally, and once a stop was requested.
 */
const KEEP = { ms: 30_000, stoppedMs: 600 };
const CLOSE = { ms: 5_000, stoppedMs: 600 };
const COLLECT = { ms: 30_000, stoppedMs: 200 };
/** A signal to the whole process tree may reach Chromium first. Longest wait for ours, in ms. */
const SIGNAL_RACE_MS = 100;
/** Longest wait for the loss to be noticed after Chromium's death failed an operation, in ms. */
const LOSS_NOTICE_MS = 400;

/**
 * @typedef {{ result: any } | { failure: Failure }} Outcome
 */

/**
 * @param {object} parts
 * @param {import('./job.mjs').Job} parts.job
 * @param {import('playwright-core').BrowserType} parts.chromium
 * @param {import('./events.mjs').Events} parts.events
 * @param {import('./mask.mjs').Mask} parts.mask
 * @param {import('./stop.mjs').Stop} parts.stop
 * @param {import('./workspace.mjs').Workspace} parts.workspace
 * @param {(outcome: Outcome) => void} parts.onDecided called as soon as the outcome is known
 * @returns {Promise<Outcome>} never rejects
 */
export async function run({ job, chromium, events, mask, stop, workspace, onDecided }) {
  const warn = (/** @type {string} */ text) => events.emit('warning', { text });
  const artifacts = createArtifacts(job.artifactsDirectory, events, mask);
  const recordings = prepareRecordings({ options: job.options, workspace, artifacts, warn });
  const limits = watchLimits(job.services, events);
  captureConsole(events);

  /** @type {import('./browser.mjs').OpenedBrowser | undefined} */
  let browser;
  /** @type {import('./page-events.mjs').Loss | undefined} */
  let loss;
  let over = false;
  /** @type {(() => void)[]} */
  const flushes = [];
  /** @type {(outcome: Outcome) => void} */
  let decide = () => {};
  /** @type {Promise<Outcome>} */
  const decided = new Promise((resolve) => { decide = resolve; });
  const save = () => saveSession(/** @type {any} */ (browser).context, job.profile.directory)
    .catch((error) => warn(`session cookies were not saved: ${error.message.split('\n')[0]}`));

  const attempt = async () => {
    const script = await loadScript(job.script, workspace);
    /** @param {unknown} error */
    const fail = (error) => {
      const frames = scriptFrames(error, script.url);
      if (frames && !over) events.emit('log', { level: 'error', text: frames });
      return fromScriptError(error, { proxyServer: job.proxy?.server ?? null, scriptUrl: script.url });
    };
    failOnStrayErrors((error) => decide({ failure: fail(error) }));

    const environment = browserEnvironment(workspace, job, mask);
    browser = await openBrowser({ chromium, job, environment, recording: recordings.contextOptions, warn });
    events.emit('browser', { version: browser.version, sandbox: browser.sandbox, persistent: true });
    loss = watchForLoss(browser, save);
    const lost = loss.gone.then(async (failure) => {
      await bounded(stop, stop.requested, { ms: SIGNAL_RACE_MS, stoppedMs: 0 });
      if (!stop.isRequested()) decide({ failure });
    });
    flushes.push(forwardPageEvents(browser.context, events));
    watchTraffic({ context: browser.context, limits, proxyServer: job.proxy?.server ?? null })
      .then((failure) => decide({ failure }));
    await restoreSession(browser.context, job.profile.directory, warn);
    await recordings.start(browser.context);

    const given = createScriptApi({ events, artifacts, job, browser, signal: stop.signal, scriptUrl: script.url });
    flushes.push(given.flushProgress);
    try {
      return { result: toResult(await script.main(given.api)) };
    } catch (error) {
      // An operation under way when Chromium dies fails a moment before the loss is noticed.
      if (/has been closed/.test(String(error))) await bounded(stop, lost, { ms: LOSS_NOTICE_MS, stoppedMs: 0 });
      return { failure: fail(error) };
    }
  };

  stop.requested.then((reason) => decide({ failure: new Failure('TERMINATED', reason) }));
  attempt().catch((error) => ({ failure: asFailure(error) })).then((outcome) => decide(outcome));
  const outcome = await decided;
  over = true;
  onDecided(outcome);

  const failed = 'failure' in outcome;
  if (browser && loss && !loss.isClosed()) {
    await bounded(stop, Promise.all([
      save(),
      artifacts.settled(),
      recordings.finish(failed, browser.page, stop.isRequested()),
      limits?.settled(),
    ]), stop.isOrphan() ? { ms: 100, stoppedMs: 100 } : KEEP);
    const closed = await bounded(stop, loss.close(), CLOSE);
    if ('late' in closed) warn('Chromium did not close in time and will be killed');
  }
  flushes.forEach((flush) => flush());
  if (!stop.isOrphan()) await bounded(stop, recordings.collect(failed), COLLECT);
  return outcome;
}

/** @param {unknown} error */
function asFailure(error) {
  if (error instanceof Failure) return error;
  return new Failure('BROWSER_LAUNCH', `the run could not be set up: ${/** @type {any} */ (error)?.message ?? error}`);
}

/**
 * Fails the run when the script throws outside its own call (in a timer, or in a promise that is
 * not awaited) or calls process.exit, which would leave the profile unsaved. After the outcome,
 * such errors only come from closing and change nothing.
 * @param {(error: unknown) => void} fail
 */
function failOnStrayErrors(fail) {
  process.exit = (code) => {
    const error = new Error(`the script called process.exit(${code ?? ''})`);
    fail(error);
    throw error;
  };
  process.on('uncaughtException', fail);
  process.on('unhandledRejection', fail);
}
