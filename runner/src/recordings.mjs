/**
 * Keeps the screenshot, trace, video and HAR of a run, as the job's options ask.
 *
 * Prepare before the browser starts, start for each context, finish while the browser is open,
 * collect after it has closed. Recordings are made outside the artifacts directory and moved there
 * only if they are kept. A recording that fails is a warning and never fails the run. What a script
 * records by itself is the script's.
 */
import fs from 'node:fs';
import fsp from 'node:fs/promises';
import { setTimeout as pause } from 'node:timers/promises';
import { provideFfmpeg } from './workspace.mjs';

/**
 * Longest time for a screenshot, in milliseconds: of the whole page, of its visible part if that
 * fails, and of either once a stop was requested. A page that is busy for ever never answers.
 */
const SCREENSHOT = { whole: 3000, visible: 1000, stopped: 500 };
/** Longest wait for dialogs to close, in milliseconds. */
const DIALOGS_MS = 500;

/**
 * @typedef {object} Recordings
 * @property {object} contextOptions for launchPersistentContext
 * @property {object} videoOptions for a context that the script makes, unless it records by itself
 * @property {(context: import('playwright-core').BrowserContext, hasVideo: boolean) =>
 *   Promise<void>} start
 * @property {(context: import('playwright-core').BrowserContext) => Promise<void>} beforeClose what
 *   must be kept before a context is closed with its browser
 * @property {(failed: boolean, contexts: import('./contexts.mjs').Contexts, stopped: boolean) =>
 *   Promise<void>} finish
 * @property {(failed: boolean) => Promise<void>} collect
 */

/**
 * @param {object} parts
 * @param {import('./job.mjs').Job['options']} parts.options
 * @param {import('./workspace.mjs').Workspace} parts.workspace
 * @param {import('./artifacts.mjs').Artifacts} parts.artifacts
 * @param {(text: string) => void} parts.warn
 * @returns {Recordings}
 */
export function prepareRecordings({ options, workspace, artifacts, warn }) {
  // Always, because a script may record videos in contexts of its own.
  const ffmpeg = provideFfmpeg(workspace);
  const video = options.video !== 'OFF' && ffmpeg;
  if (options.video !== 'OFF' && !video) warn('no video: ffmpeg is not installed');
  const recordVideo = { dir: workspace.path('video'), ...(options.viewport && { size: options.viewport }) };
  const harFile = workspace.path('network.har');
  /** @type {Map<import('playwright-core').BrowserContext, { file: string, end: (keep: boolean) => Promise<void> }>} */
  const traces = new Map();
  let traceFiles = 0;
  /** @type {import('playwright-core').Page[]} */
  const pages = [];

  /** @param {import('./job.mjs').ArtifactMode} mode @param {boolean} failed */
  const wanted = (mode, failed) => mode === 'ALWAYS' || (mode === 'ON_FAILURE' && failed);
  /** @param {string} what @param {Promise<unknown>} task */
  const orWarn = (what, task) => task.then(() => {}, (error) => {
    warn(`no ${what}: ${String(error?.message ?? error).split('\n')[0]}`);
  });

  /**
   * A trace ends with its context, which a script may close before it is known how the run ends.
   * @param {import('playwright-core').BrowserContext} context
   */
  const beforeClose = async (context) => {
    await traces.get(context)?.end(true).catch(() => {});
  };
  /** @param {import('playwright-core').BrowserContext} context */
  const startTrace = async (context) => {
    const { tracing } = context;
    const start = tracing.start.bind(tracing);
    const stop = tracing.stop.bind(tracing);
    const close = context.close.bind(context);
    const file = workspace.path(`trace-${traceFiles += 1}.zip`);
    await start({ screenshots: true, snapshots: true });
    /** @type {Promise<void> | undefined} */
    let ended;
    const end = (/** @type {boolean} */ keep) => { ended ??= stop(keep ? { path: file } : {}); return ended; };
    traces.set(context, { file, end });
    tracing.start = async (own) => {
      if (traces.delete(context)) {
        warn('no trace of a context in which the script makes one');
        await end(false);
      }
      return start(own);
    };
    context.close = async (reason) => {
      await beforeClose(context);
      return close(reason);
    };
  };

  return {
    contextOptions: {
      ...(video && { recordVideo }),
      ...(options.har !== 'OFF' && { recordHar: { path: harFile, content: 'embed' } }),
    },
    videoOptions: video ? { recordVideo } : {},
    beforeClose,
    async start(context, hasVideo) {
      if (hasVideo) {
        pages.push(...context.pages());
        context.on('page', (page) => pages.push(page));
      }
      if (options.trace !== 'OFF') await orWarn('trace', startTrace(context));
    },
    async finish(failed, contexts, stopped) {
      const tasks = [];
      await Promise.race([contexts.dismissDialogs(), pause(DIALOGS_MS)]);
      if (wanted(options.screenshot, failed)) {
        const page = contexts.lastPage();
        if (page) tasks.push(orWarn('screenshot', takeScreenshot(page, stopped, artifacts, workspace.path('screenshot.png'))));
        else warn('no screenshot: the script has closed its pages');
      }
      for (const { end } of traces.values()) tasks.push(orWarn('trace', end(wanted(options.trace, failed))));
      await Promise.all(tasks);
    },
    async collect(failed) {
      for (const { file } of wanted(options.trace, failed) ? traces.values() : []) {
        if (fs.existsSync(file)) await orWarn('trace', artifacts.adopt('trace.zip', file));
      }
      if (wanted(options.har, failed)) await orWarn('HAR', artifacts.adopt('network.har', harFile));
      if (!video || !wanted(options.video, failed)) return;
      for (const page of pages) {
        const file = await page.video()?.path().catch(() => undefined);
        // A page that never painted has no video.
        if (file && fs.existsSync(file)) await orWarn('video', artifacts.adopt('video.webm', file));
      }
    },
  };
}

/**
 * @param {import('playwright-core').Page} page
 * @param {boolean} stopped
 * @param {import('./artifacts.mjs').Artifacts} artifacts
 * @param {string} file
 */
async function takeScreenshot(page, stopped, artifacts, file) {
  // A page may be taller than Chromium can paint. The visible part is better than nothing.
  const image = await page.screenshot({ fullPage: true, timeout: stopped ? SCREENSHOT.stopped : SCREENSHOT.whole })
    .catch((error) => {
      if (stopped || page.isClosed()) throw error;
      return page.screenshot({ timeout: SCREENSHOT.visible });
    });
  await fsp.writeFile(file, image);
  await artifacts.adopt('screenshot.png', file);
}
