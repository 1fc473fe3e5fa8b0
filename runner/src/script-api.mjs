/**
 * What the script is given besides the browser: log, progress, step and artifact.
 *
 * A script cannot flood the worker with progress, and its last progress is never lost.
 */
import { describe, withOwnFrames } from './failure.mjs';
import { format } from 'node:util';
import { BOUNDS, inPieces } from './bounds.mjs';

/** Shortest time between two progress events, in milliseconds. */
const PROGRESS_INTERVAL_MS = 200;

/** @typedef {ReturnType<typeof createScriptApi>['api']} ScriptApi */

/**
 * @param {object} parts
 * @param {import('./events.mjs').Events} parts.events
 * @param {import('./mask.mjs').Mask} parts.mask
 * @param {import('./artifacts.mjs').Artifacts} parts.artifacts
 * @param {import('./job.mjs').Job} parts.job
 * @param {import('./browser.mjs').OpenedBrowser} parts.browser
 * @param {import('./contexts.mjs').Contexts} parts.contexts
 * @param {AbortSignal} parts.signal
 * @param {string} parts.scriptUrl
 */
export function createScriptApi({ events, mask, artifacts, job, browser, contexts, signal, scriptUrl }) {
  const { progress, flushProgress } = createProgress(events);
  const { name, directory, environment, secrets } = job.profile;
  let isSignalUsed = false;
  return {
    flushProgress,
    isSignalUsed: () => isSignalUsed,
    api: Object.freeze({
      page: browser.page,
      context: browser.context,
      input: job.input,
      services: job.services,
      profile: Object.freeze({ name, directory, environment, secrets }),
      get signal() {
        isSignalUsed = true;
        return signal;
      },
      log: createLog(events, mask, scriptUrl),
      progress,
      step: createStep(events, scriptUrl),
      artifact: createArtifact(artifacts, contexts),
    }),
  };
}

/**
 * @param {import('./events.mjs').Events} events
 * @param {import('./mask.mjs').Mask} mask
 * @param {string} scriptUrl
 */
function createLog(events, mask, scriptUrl) {
  /** @param {string} level @returns {(...values: unknown[]) => void} */
  const at = (level) => (...values) => {
    // Masked before it is told in pieces, because half a secret is not recognised.
    const told = mask(withOwnFrames(format(...values), scriptUrl).toWellFormed());
    for (const text of inPieces(told, BOUNDS.textCharacters)) events.emit('log', { level, text });
  };
  return Object.assign(at('info'), { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') });
}

/** @param {import('./events.mjs').Events} events */
function createProgress(events) {
  let sentAt = -Infinity;
  /** @type {{ fraction: number | null, message: string | null } | null} */
  let waiting = null;
  /** @type {NodeJS.Timeout | undefined} */
  let timer;
  const flushProgress = () => {
    clearTimeout(timer);
    timer = undefined;
    if (!waiting) return;
    events.emit('progress', waiting);
    waiting = null;
    sentAt = performance.now();
  };
  /**
   * @param {number | null} [fraction] 0 to 1, or null when unknown
   * @param {string | null} [message]
   */
  const progress = (fraction = null, message = null) => {
    const known = typeof fraction === 'number' && Number.isFinite(fraction);
    waiting = {
      fraction: known ? Math.min(1, Math.max(0, fraction)) : null,
      message: message === null ? null : String(message),
    };
    const wait = sentAt + PROGRESS_INTERVAL_MS - performance.now();
    if (wait <= 0) flushProgress();
    else timer ??= setTimeout(flushProgress, wait);
  };
  return { progress, flushProgress };
}

/** @param {import('./events.mjs').Events} events @param {string} scriptUrl */
function createStep(events, scriptUrl) {
  /**
   * @template T
   * @param {string} name
   * @param {() => T | Promise<T>} body
   * @returns {Promise<T>}
   */
  return async (name, body) => {
    const step = String(name);
    const startedAt = performance.now();
    const durationMs = () => Math.round(performance.now() - startedAt);
    events.emit('step', { name: step, status: 'begin' });
    try {
      const value = await body();
      events.emit('step', { name: step, status: 'ok', durationMs: durationMs() });
      return value;
    } catch (error) {
      const text = describe(error, scriptUrl);
      events.emit('step', { name: step, status: 'fail', durationMs: durationMs(), error: text });
      throw error;
    }
  };
}

/**
 * @param {import('./artifacts.mjs').Artifacts} artifacts
 * @param {import('./contexts.mjs').Contexts} contexts
 */
function createArtifact(artifacts, contexts) {
  /**
   * @param {string} name
   * @param {string | Uint8Array | ArrayBuffer} content
   * @param {{ contentType?: string }} [options]
   * @returns {Promise<string>} the name of the kept file
   */
  const artifact = (name, content, { contentType } = {}) => artifacts.write(name, content, contentType);
  /**
   * @param {string} [name]
   * @param {import('playwright-core').PageScreenshotOptions} [options]
   */
  const screenshot = async (name = 'page.png', options = {}) => {
    const page = contexts.pageToShow();
    if (!page) throw new Error('artifact.screenshot needs a page, but every page is closed');
    const { path: _path, ...rest } = options; // the picture is written as an artifact
    return artifacts.write(name, await page.screenshot(rest), rest.type === 'jpeg' ? 'image/jpeg' : undefined);
  };
  return Object.assign(artifact, { screenshot });
}
