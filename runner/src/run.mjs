/**
 * One run from the job to its outcome: load, open, restore, record, execute. Then it keeps
 * recordings and closes the browser, whatever the outcome.
 *
 * Nothing waits without a bound once the outcome is known. main sends the outcome.
 */
import { pathToFileURL } from 'node:url';
import { createArtifacts } from './artifacts.mjs';
import { browserEnvironment } from './workspace.mjs';
import { captureConsole } from './console.mjs';
import { Failure, fromScriptError, scriptFrames } from './failure.mjs';
import { createPageEvents, watchForCrashes, watchForLoss } from './page-events.mjs';
import { loadScript, toResult } from './script.mjs';
import { createScriptApi } from './script-api.mjs';
import { launchDefaults, openBrowser } from './browser.mjs';
import { refuseDirectTraffic } from './direct-traffic.mjs';
import { watchCalls } from './calls.mjs';
import { watchContexts } from './contexts.mjs';
import { prepareRecordings } from './recordings.mjs';
import { restoreSession, saveSession } from './session.mjs';
import { watchLimits } from './limits.mjs';
import { createTraffic } from './traffic.mjs';
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
 *
 * @typedef {object} OpenRun what there is once the browser is open
 * @property {import('./page-events.mjs').Loss} loss
 * @property {() => Promise<void>} save
 * @property {import('./calls.mjs').Calls} calls
 * @property {import('./contexts.mjs').Contexts} contexts
 * @property {() => Promise<void>} cleanedUp resolves when a script that listens to the signal has
 *   ended, or has used up its time
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

  const proxyServer = job.proxy?.server ?? null;

  let over = false;
  /** @type {(outcome: Outcome) => void} */
  let decide = () => {};
  /** @type {Promise<Outcome>} */
  const decided = new Promise((resolve) => { decide = resolve; });
  const fail = (/** @type {Failure} */ failure) => decide({ failure });

  const traffic = createTraffic({ limits, proxyServer, onRefused: fail });
  const pageEvents = createPageEvents(events);
  events.onEnd(pageEvents.report);
  events.onEnd(captureConsole(events, pathToFileURL(workspace.path('script.mjs')).href));
  /** @type {OpenRun | undefined} */
  let open;
  let phase = 'the script was being loaded';

  const attempt = async () => {
    // Before the script is loaded, because its top level may already connect.
    if (proxyServer === null) traffic.watchFetch();
    else refuseDirectTraffic(proxyServer);
    const script = await loadScript(job.script, workspace);
    /** @param {unknown} error */
    const asScriptFailure = (error) => {
      const frames = scriptFrames(error, script.url);
      if (frames && !over) events.emit('log', { level: 'error', text: frames });
      return fromScriptError(error, { proxyServer, scriptUrl: script.url });
    };
    const exited = failOnStrayErrors((error) => {
      const failure = asScriptFailure(error);
      if (!stop.isRequested()) fail(failure);
    });
    phase = 'the browser was being opened';

    const environment = browserEnvironment(workspace, job, mask);
    const browser = await openBrowser({ chromium, job, environment, recording: recordings.contextOptions, warn });
    events.emit('browser', { version: browser.version, sandbox: browser.sandbox, persistent: true });
    const save = () => saveSession(browser.context, job.profile.directory)
      .catch((error) => warn(`session cookies were not saved: ${error.message.split('\n')[0]}`));
    const loss = watchForLoss(browser, save);
    const lost = loss.gone.then(async (failure) => {
      await bounded(stop, stop.requested, { ms: SIGNAL_RACE_MS, stoppedMs: 0 });
      if (!stop.isRequested()) fail(failure);
    });
    /** @type {(failure: Failure) => void} */
    let noteCrash = () => {};
    /** @type {Promise<Failure>} */
    const crashed = new Promise((resolve) => { noteCrash = resolve; });
    const calls = watchCalls(browser.context, script.url, mask);
    const contexts = watchContexts({
      browser,
      calls,
      recordings,
      launchDefaults: launchDefaults(job, environment, browser.sandbox),
      onContext(context) {
        pageEvents.watch(context);
        traffic.watch(context);
        watchForCrashes({ context, calls, warn, onCrash: (failure) => noteCrash(failure), onIgnored: fail });
      },
    });
    open = { loss, save, calls, contexts, cleanedUp: async () => {} };
    await restoreSession(browser.context, job.profile.directory, warn);
    await recordings.start(browser.context, true);

    const given = createScriptApi({ events, mask, artifacts, job, browser, contexts, signal: stop.signal, scriptUrl: script.url });
    events.onEnd(given.flushProgress);
    try {
      const main = Promise.resolve(calls.runMain(() => script.main(given.api)));
      open.cleanedUp = async () => {
        if (!given.isSignalUsed() && !stop.isHeardByScript()) return;
        await bounded(stop, Promise.race([main, exited]), { ms: stop.cleanUpMs, stoppedMs: stop.cleanUpMs });
      };
      const result = toResult(await main);
      const left = await calls.leave();
      if (left) warn(`Still under way when the script returned, and cut off: ${left}. Await it, or end it.`);
      checkExitCode();
      return { result };
    } catch (error) {
      const failure = asScriptFailure(error);
      // An operation under way when Chromium dies fails a moment before the loss is noticed.
      if (/has been closed/.test(failure.message)) await bounded(stop, lost, { ms: LOSS_NOTICE_MS, stoppedMs: 0 });
      // And a navigation that crashes the page fails a moment before the crash is noticed.
      if (/net::ERR_ABORTED/.test(failure.message)) {
        const crash = await bounded(stop, crashed, { ms: LOSS_NOTICE_MS, stoppedMs: 0 });
        if ('value' in crash) return { failure: crash.value };
      }
      return { failure };
    }
  };

  stop.requested.then(async (reason) => {
    const waitedFor = open ? open.calls.told() : '';
    const when = open ? waitedFor && `the script waited for ${waitedFor}` : phase;
    const failure = new Failure('TERMINATED', when ? `${reason} while ${when}` : reason);
    // At once, because the grace may be too short for the failure itself.
    if (failure.message !== reason) warn(failure.message);
    if (open && !stop.isOrphan()) await open.cleanedUp();
    fail(failure);
  });
  attempt().catch((error) => ({ failure: asFailure(error) })).then((outcome) => {
    // What a script returns or throws because it is stopped is no outcome of its own.
    if (!stop.isRequested()) decide(outcome);
  });
  const outcome = await decided;
  over = true;
  onDecided(outcome);

  const failed = 'failure' in outcome;
  if (open && !open.loss.isClosed()) {
    await bounded(stop, Promise.all([
      open.save(),
      artifacts.settled(),
      recordings.finish(failed, open.contexts, stop.isRequested()),
      limits?.settled(),
    ]), stop.isOrphan() ? { ms: 100, stoppedMs: 100 } : KEEP);
    const closed = await bounded(stop, open.loss.close(), CLOSE);
    if ('late' in closed) warn('Chromium did not close in time and will be killed');
  }
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
 * not awaited) or calls process.exit, which would leave the profile unsaved. As in Node, errors are
 * the script's own affair if it listens for them. After the outcome, such errors only come from
 * closing and change nothing.
 * @param {(error: unknown) => void} fail
 * @returns {Promise<void>} resolves when the script calls process.exit
 */
function failOnStrayErrors(fail) {
  /** @type {() => void} */
  let resolve;
  /** @type {Promise<void>} */
  const exited = new Promise((r) => { resolve = r; });
  /** @type {unknown} */
  let exit;
  let isHandling = false;
  const handle = () => {
    isHandling = true;
    setImmediate(() => { isHandling = false; });
  };
  process.exit = (code) => {
    const error = new Error(`the script called process.exit(${code ?? ''})`);
    exit = error;
    resolve();
    fail(error);
    // Node dies at once of an error that is thrown where an error is handled.
    if (isHandling) return /** @type {never} */ (undefined);
    throw error;
  };
  process.on('uncaughtException', (error) => {
    handle();
    if (error !== exit && process.listenerCount('uncaughtException') === 1) fail(error);
  });
  process.on('unhandledRejection', (reason) => {
    handle();
    if (process.listenerCount('unhandledRejection') > 1) return;
    /** @type {any} */ (process).emit('uncaughtException', reason, 'unhandledRejection');
  });
  return exited;
}

/** A script that says so fails, as a program does. */
function checkExitCode() {
  const { exitCode } = process;
  if (exitCode) throw new Error(`the script set process.exitCode to ${exitCode}`);
}
