/**
 * Knows whether the run must stop: a signal from the worker, or signs that the worker is gone.
 *
 * Created first by main; awaited by everything that may take long. It must never end the process by itself (main says
 * the last word), except that main's deadline, which it keeps, ends it when everything else hangs.
 */

/**
 * How long a run may take to stop, in milliseconds. A signal leaves time for failure artifacts; when the worker is
 * gone nobody would fetch them, and the profile is wanted by the next run.
 */
const STOP_DEADLINE_MS = { signal: 1700, orphan: 700 };

/**
 * @typedef {object} Stop
 * @property {AbortSignal} signal for the script
 * @property {Promise<string>} requested resolves with the reason in words
 * @property {() => boolean} isRequested
 * @property {() => boolean} isOrphan true when nobody is left to hear of the outcome
 * @property {(reason: string) => void} orphaned the worker is gone: stop as fast as possible
 * @property {(hangUp: () => void) => void} onDeadline what to do when stopping takes too long
 */

/**
 * @returns {Stop}
 */
export function watchForStop() {
  const abort = new AbortController();
  /** @type {(reason: string) => void} */
  let resolve;
  /** @type {Promise<string>} */
  const requested = new Promise((r) => { resolve = r; });
  let orphan = false;
  /** @type {() => void} */
  let hangUp = () => process.exit(143);

  /** @type {(reason: string, deadlineMs: number) => void} */
  const stop = (reason, deadlineMs) => {
    setTimeout(() => hangUp(), deadlineMs);
    if (abort.signal.aborted) return;
    resolve(reason); // first, so that a script which returns because it was told to stop counts as stopped
    abort.abort(new Error(reason));
  };

  let signalled = false;
  for (const name of /** @type {const} */ (['SIGTERM', 'SIGINT', 'SIGHUP'])) {
    process.on(name, () => {
      if (signalled) return; // a shim may signal more than once; the first one's deadline stands
      signalled = true;
      stop(`stopped by ${name}`, STOP_DEADLINE_MS.signal);
    });
  }
  return {
    signal: abort.signal,
    requested,
    isRequested: () => abort.signal.aborted,
    isOrphan: () => orphan,
    orphaned(reason) {
      if (orphan) return;
      orphan = true;
      stop(reason, STOP_DEADLINE_MS.orphan);
    },
    onDeadline(handler) {
      hangUp = handler;
    },
  };
}

/**
 * Waits for a promise, but not for ever, and for less time once the run must stop.
 * @template T
 * @param {Stop} stop
 * @param {Promise<T>} promise
 * @param {{ ms: number, stoppedMs: number }} bounds
 * @returns {Promise<{ value: T } | { error: unknown } | { late: true }>} never rejects
 */
export async function bounded(stop, promise, { ms, stoppedMs }) {
  /** @type {NodeJS.Timeout[]} */
  const timers = [];
  /** @param {number} delay @returns {Promise<{ late: true }>} */
  const late = (delay) => new Promise((resolve) => {
    timers.push(setTimeout(() => resolve({ late: true }), delay));
  });
  const settled = promise.then((value) => ({ value }), (error) => ({ error }));
  try {
    return await Promise.race([settled, late(ms), stop.requested.then(() => late(stoppedMs))]);
  } finally {
    timers.forEach(clearTimeout);
  }
}
