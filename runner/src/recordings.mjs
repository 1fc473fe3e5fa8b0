/**
 * Keeps the screenshot, trace, video and HAR of a run, as the job's options ask.
 *
 * Prepare before the browser starts, start after it, finish while it is open, collect after it has
 * closed. Recordings are made outside the artifacts directory and moved there only if they are
 * kept. A recording that fails is a warning and never fails the run.
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
 * @property {(context: import('playwright-core').BrowserContext) => Promise<void>} start
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
  const harFile = workspace.path('network.har');
  const traceFile = workspace.path('trace.zip');
  /** @type {import('playwright-core').BrowserContext | undefined} */
  let context;
  /** @type {import('playwright-core').Page[]} */
  const pages = [];

  /** @param {import('./job.mjs').ArtifactMode} mode @param {boolean} failed */
  const wanted = (mode, failed) => mode === 'ALWAYS' || (mode === 'ON_FAILURE' && failed);
  /** @param {string} what @param {Promise<unknown>} task */
  const orWarn = (what, task) => task.then(() => {}, (error) => {
    warn(`no ${what}: ${String(error?.message ?? error).split('\n')[0]}`);
  });

  return {
    contextOptions: {
      ...(video && { recordVideo: { dir: workspace.path('video'), ...(options.viewport && { size: options.viewport }) } }),
      ...(options.har !== 'OFF' && { recordHar: { path: harFile, content: 'embed' } }),
    },
    async start(opened) {
      context = opened;
      pages.push(...opened.pages());
      opened.on('page', (page) => pages.push(page));
      if (options.trace !== 'OFF') {
        await orWarn('trace', opened.tracing.start({ screenshots: true, snapshots: true }));
      }
    },
    async finish(failed, contexts, stopped) {
      const tasks = [];
      await Promise.race([contexts.dismissDialogs(), pause(DIALOGS_MS)]);
      if (wanted(options.screenshot, failed)) {
        const page = contexts.pageToShow();
        if (page) tasks.push(orWarn('screenshot', takeScreenshot(page, stopped, artifacts, workspace.path('screenshot.png'))));
        else warn('no screenshot: every page is closed');
      }
      if (options.trace !== 'OFF' && context) {
        const keep = wanted(options.trace, failed);
        const stop = context.tracing.stop(keep ? { path: traceFile } : {});
        tasks.push(orWarn('trace', stop.then(() => (keep ? artifacts.adopt('trace.zip', traceFile) : ''))));
      }
      await Promise.all(tasks);
    },
    async collect(failed) {
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
