/**
 * Knows whether the run must stop: on a signal from the worker, or when the worker is gone.
 *
 * It never ends the process by itself, because main sends the last event. The exception is the
 * deadline, whose handler main sets and which ends the process when everything else hangs.
 */

/**
 * How long a run may take to stop, in milliseconds. A signal leaves time for failure artifacts.
 * When the worker is gone, they would not be collected and the next run needs the profile.
 */
const STOP_DEADLINE_MS = { signal: 1700, orphan: 700 };
/**
 * Part of the policy's grace that is left for the worker to hear the end, in milliseconds. When the
 * grace is over, it kills.
 */
const GRACE_RESERVE_MS = 300;

const SIGNALS = /** @type {const} */ (['SIGTERM', 'SIGINT', 'SIGHUP']);

/**
 * @typedef {object} Stop
 * @property {AbortSignal} signal for the script
 * @property {Promise<string>} requested resolves with the reason, for people
 * @property {() => boolean} isRequested
 * @property {number} cleanUpMs how long a script that listens to the signal may clean up
 * @property {() => boolean} isHeardByScript whether the script listened to the signal that stops the run
 * @property {() => boolean} isOrphan true when the worker is gone
 * @property {(reason: string) => void} orphaned stops as fast as possible, because the worker is
 *   gone
 * @property {(hangUp: () => void) => void} onDeadline sets what to do when stopping takes too long
 */

/**
 * @param {string | undefined} graceMs the policy's grace, as the worker gives it in the environment
 * @returns {Stop}
 */
export function watchForStop(graceMs) {
  const deadlineMs = Math.max(STOP_DEADLINE_MS.signal, (Number(graceMs) || 0) - GRACE_RESERVE_MS);
  const abort = new AbortController();
  /** @type {(reason: string) => void} */
  let resolve;
  /** @type {Promise<string>} */
  const requested = new Promise((r) => { resolve = r; });
  let orphan = false;
  /** @type {() => void} */
  let hangUp = () => process.exit(143);

  /** @type {(reason: string, withinMs: number) => void} */
  const stop = (reason, withinMs) => {
    setTimeout(() => hangUp(), withinMs);
    if (abort.signal.aborted) return;
    // Before the abort, so that a script that returns because of it counts as stopped.
    resolve(reason);
    abort.abort(new Error(reason));
  };

  let signalled = false;
  let isHeard = false;
  for (const name of SIGNALS) {
    process.on(name, () => {
      if (signalled) return; // a shim may signal more than once, and the first deadline stands
      signalled = true;
      isHeard = process.listenerCount(name) > 1; // now, because a listener may be for once
      stop(`stopped by ${name}`, deadlineMs);
    });
  }
  return {
    signal: abort.signal,
    requested,
    isRequested: () => abort.signal.aborted,
    isHeardByScript: () => isHeard,
    cleanUpMs: deadlineMs - STOP_DEADLINE_MS.signal,
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
 * Waits for a promise for a limited time, and for less once the run must stop.
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
