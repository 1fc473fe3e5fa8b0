/**
 * Reports console lines and uncaught errors of the pages, and the loss of the browser or the page.
 *
 * A chatty page never floods the worker, and a script that closes its own browser is never mistaken
 * for a crash.
 */
import { Failure } from './failure.mjs';

/** Lines that the pages may write at once, and then per second. The rest is counted and dropped. */
const BURST_LINES = 500;
const LINES_PER_SECOND = 100;

/** @type {Record<string, string>} */
const LEVELS = { error: 'error', assert: 'error', warning: 'warn', debug: 'debug', trace: 'debug' };

/** How long a script may do nothing after a page has crashed, in milliseconds. */
const CRASH_NOTICE_MS = 15_000;

/**
 * @param {import('./events.mjs').Events} events
 * @returns {{ watch: (context: import('playwright-core').BrowserContext) => void, report: () => void
 *   }} report tells the drops that were not reported yet
 */
export function createPageEvents(events) {
  const flood = createFloodGate((dropped) => {
    events.emit('warning', { text: `${dropped} console lines and page errors were dropped because there were too many per second` });
  });
  return {
    report: flood.report,
    watch(context) {
      context.on('console', (message) => {
        if (!flood.admits()) return;
        events.emit('console', { level: LEVELS[message.type()] ?? 'info', text: message.text() });
      });
      context.on('weberror', (error) => {
        if (!flood.admits()) return;
        const cause = error.error();
        events.emit('pageerror', { text: String(cause?.stack || cause) });
      });
    },
  };
}

/**
 * A token bucket that reports, at most once a second, how many lines it dropped.
 * @param {(dropped: number) => void} tell
 */
function createFloodGate(tell) {
  let tokens = BURST_LINES;
  let filledAt = performance.now();
  let dropped = 0;
  const report = () => {
    if (dropped > 0) tell(dropped);
    dropped = 0;
  };
  return {
    report,
    admits() {
      const now = performance.now();
      tokens = Math.min(BURST_LINES, tokens + ((now - filledAt) * LINES_PER_SECOND) / 1000);
      filledAt = now;
      if (tokens >= 1) {
        tokens -= 1;
        return true;
      }
      dropped += 1;
      if (dropped === 1) setTimeout(report, 1000).unref();
      return false;
    },
  };
}

/**
 * @typedef {object} Loss
 * @property {Promise<Failure>} gone resolves when the browser exits while the script works
 * @property {() => boolean} isClosed
 * @property {() => Promise<void>} close closes the browser for the run
 */

/**
 * @param {import('./browser.mjs').OpenedBrowser} browser
 * @param {() => Promise<void>} beforeClose runs before a script closes the browser
 * @returns {Loss}
 */
export function watchForLoss({ context }, beforeClose) {
  let closed = false;
  let closedOnPurpose = false;
  const close = context.close.bind(context);
  context.close = async (options) => {
    if (!closedOnPurpose) {
      closedOnPurpose = true;
      await beforeClose();
    }
    return close(options);
  };
  const instance = context.browser();
  if (instance) instance.close = () => context.close();
  /** @type {Promise<Failure>} */
  const gone = new Promise((resolve) => {
    context.on('close', () => {
      closed = true;
      if (!closedOnPurpose) resolve(new Failure('BROWSER_CLOSED', 'the browser exited while the script was running'));
    });
  });
  return {
    gone,
    isClosed: () => closed,
    close() {
      closedOnPurpose = true;
      return close();
    },
  };
}

/**
 * Reports crashes of pages. A crash is the script's to handle: its calls to the page fail, and it may
 * listen for the event. The run fails only if the script does neither, because it would wait for
 * ever.
 * @param {object} parts
 * @param {import('playwright-core').BrowserContext} parts.context
 * @param {import('./calls.mjs').Calls} parts.calls
 * @param {(text: string) => void} parts.warn
 * @param {(failure: Failure) => void} parts.onCrash
 * @param {(failure: Failure) => void} parts.onIgnored
 */
export function watchForCrashes({ context, calls, warn, onCrash, onIgnored }) {
  /** @param {import('playwright-core').Page} page */
  const watch = (page) => {
    page.on('crash', () => {
      const failure = new Failure('PAGE_CRASHED', `the page crashed at ${withoutQuery(page.url())}`);
      warn(failure.message);
      onCrash(failure);
      if (/** @type {any} */ (page).listenerCount('crash') > 1) return;
      const begun = calls.begun();
      const look = () => {
        if (calls.begun() !== begun) return;
        if (calls.willGoOn()) wait();
        else onIgnored(failure);
      };
      const wait = () => setTimeout(look, CRASH_NOTICE_MS).unref();
      wait();
    });
  };
  context.pages().forEach(watch);
  context.on('page', watch);
}

/** @param {string} url its query and fragment may be secret */
function withoutQuery(url) {
  return url.split(/[?#]/)[0];
}
