/**
 * Knows what the script has under way: what it waits for when it is stopped, and what it left
 * behind when it returned.
 *
 * It stands between Playwright's client and its server, where every call passes
 * (`Connection.sendMessageToServer`), and around the waits for events, which are no calls, and
 * Node's fetch. The first is no public interface, so playwright-core's version is exact in
 * package.json, and plain.test.mjs fails if it changes.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import { setImmediate as immediate } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { cutWithMark } from './bounds.mjs';
import { certain, placeInScript } from './failure.mjs';
import { watchResources } from './resources.mjs';

/** Longest argument of a call that is told, in characters. */
const MAX_ARGUMENT_CHARS = 200;
/** Calls that the end of the run makes anyway, so that nobody misses them. */
const CLOSING = /\.(close|dispose|stop)$/;
/** Methods that wait for an event, or may. */
const WAITS = /^waitFor(Event|Request|Response|URL|Navigation|LoadState)$/;
/** Most calls that are told. */
const MAX_CALLS_TOLD = 3;
const LEFT_BEHIND = 'it was still under way when the script returned, and is cut off. Await it, or return its promise.';

/**
 * @typedef {object} Call
 * @property {string} api such as `page.goto`
 * @property {string} argument as it is written, or an empty text
 * @property {string} place where the script made it, or an empty text
 * @property {number} startedAt
 * @property {boolean} isOfMain whether the script's function made it, and not a listener
 * @property {() => void} abandon makes it fail
 *
 * @typedef {object} Calls
 * @property {<T>(main: () => T) => T} runMain runs the script's function
 * @property {() => number} begun how many calls were begun so far
 * @property {() => boolean} willGoOn whether the script waits for something that comes by itself
 * @property {() => import('playwright-core').Page | undefined} lastPage the page of the last call
 *   that the script's function made
 * @property {(page: import('playwright-core').Page) => boolean} haveUsed whether it called a page
 * @property {() => string} told what the script's function waits for, for people; empty if nothing
 * @property {() => Promise<string>} leave makes the calls fail that the script's function did not
 *   wait for, and resolves when rejections that nobody handles have been reported, with what else
 *   the function left behind, for people; empty if nothing
 */

/**
 * @param {import('playwright-core').BrowserContext} context
 * @param {string} scriptUrl
 * @param {import('./mask.mjs').Mask} mask
 * @returns {Calls}
 */
export function watchCalls(context, scriptUrl, mask) {
  const main = new AsyncLocalStorage();
  const isOfMain = () => main.getStore() === true;
  const resources = watchResources(scriptUrl, isOfMain);
  /** @type {Map<unknown, Call>} */
  const underWay = new Map();
  let begun = 0;
  /** @type {import('playwright-core').Page | undefined} */
  let lastPage;
  /** @type {WeakSet<object>} */
  const usedPages = new WeakSet();
  /** @param {any} object what a call was made on */
  const notePage = (object) => {
    const page = object._type === 'Page' ? object : object._page ?? object._parentOfType('Page');
    if (!page) return;
    usedPages.add(page);
    lastPage = page;
  };

  /** @param {string} api @param {unknown} argument @param {string} place @returns {Call} */
  const newCall = (api, argument, place) => {
    begun += 1;
    // Masked before it is cut, because half a secret is not recognised. The worker, which knows more
    // spellings, masks what the mark of the cut stands behind.
    const written = typeof argument === 'string' ? JSON.stringify(cutWithMark(mask(argument), MAX_ARGUMENT_CHARS)) : '';
    return { api, argument: written, place, startedAt: performance.now(), isOfMain: isOfMain(), abandon() {} };
  };
  /**
   * Lets a call fail from outside. Its error says by itself what it was and where.
   * @template T
   * @param {Call} call
   * @param {Promise<T>} answer
   * @returns {Promise<T>}
   */
  const abandonable = (call, answer) => new Promise((resolve, reject) => {
    call.abandon = () => {
      const error = certain(new Error(`${call.api}: ${LEFT_BEHIND}`));
      error.stack = `${error.message}\n    at ${call.place.replace('script.mjs', fileURLToPath(scriptUrl))}`;
      reject(error);
    };
    answer.then(resolve, reject);
  });

  /** @type {Call | undefined} */
  let latestWait;
  const connection = /** @type {any} */ (context)._connection;
  const send = connection.sendMessageToServer.bind(connection);
  connection.sendMessageToServer = (/** @type {any} */ object, /** @type {string} */ method, /** @type {any} */ parameters, /** @type {any} */ options) => {
    const place = placeOf(options.frames ?? [], scriptUrl);
    // A wait for an event is no request. It is announced when it begins and when it ends.
    if (method === '__waitInfo__') {
      if (parameters.phase === 'before' && options.apiName) {
        latestWait = newCall(options.apiName, parameters.event, place);
        underWay.set(parameters.waitId, latestWait);
      }
      if (parameters.phase === 'after') underWay.delete(parameters.waitId);
      return send(object, method, parameters, options);
    }
    if (options.internal || !options.apiName) return send(object, method, parameters, options);
    return new Promise((resolve, reject) => {
      const call = newCall(options.apiName, parameters?.selector ?? parameters?.url, place);
      if (call.isOfMain && !CLOSING.test(call.api)) notePage(object);
      // The call's name and place come before and after the text, as in every error of Playwright.
      call.abandon = () => reject(certain(new Error(LEFT_BEHIND)));
      underWay.set(call, call);
      const answer = send(object, method, parameters, options);
      answer.finally(() => underWay.delete(call)).then(resolve, reject);
    });
  };
  watchWaits(context, (wait) => {
    latestWait = undefined;
    const answer = wait();
    return latestWait ? abandonable(latestWait, answer) : answer;
  });
  const { fetch } = globalThis;
  globalThis.fetch = async (resource, options) => {
    const call = newCall('fetch', resource instanceof Request ? resource.url : String(resource),
      placeInScript(String(new Error().stack), scriptUrl) ?? '');
    underWay.set(call, call);
    return abandonable(call, fetch(resource, options).finally(() => underWay.delete(call)));
  };

  return {
    runMain: (run) => main.run(true, run),
    begun: () => begun,
    willGoOn: () => underWay.size > 0 || resources.willEnd(),
    lastPage: () => lastPage,
    haveUsed: (page) => usedPages.has(page),
    told() {
      const calls = [...underWay.values()].filter((call) => call.isOfMain).sort((a, b) => a.startedAt - b.startedAt);
      const told = calls.slice(0, MAX_CALLS_TOLD).map(({ api, argument, place, startedAt }) => {
        const seconds = ((performance.now() - startedAt) / 1000).toFixed(1);
        return `${api}(${argument})${place && ` at ${place}`}, for ${seconds} s`;
      });
      const more = calls.length - told.length;
      return told.join('; ') + (more > 0 ? `; and ${more} more` : '') || resources.told();
    },
    async leave() {
      for (const call of underWay.values()) {
        if (call.isOfMain && !CLOSING.test(call.api)) call.abandon();
      }
      // Node reports rejections without a handler when the microtasks are done, and has closed what
      // ended a moment ago after that.
      await immediate();
      await immediate();
      return resources.told();
    },
  };
}

/**
 * Passes every wait for an event through a function. Playwright's methods are found by their names,
 * on the classes of pages, contexts and frames. A method that such a method calls is left alone,
 * because Playwright names the call after what stands between it and the script.
 * @param {import('playwright-core').BrowserContext} context
 * @param {(wait: () => Promise<any>) => Promise<any>} through
 */
function watchWaits(context, through) {
  let isInside = false;
  const [page] = context.pages();
  for (const owner of [context, page, page.mainFrame()]) {
    const prototype = Object.getPrototypeOf(owner);
    for (const name of Object.getOwnPropertyNames(prototype).filter((key) => WAITS.test(key))) {
      const wait = prototype[name];
      /** @this {any} @param {any[]} parameters @returns {Promise<any>} */
      function watched(...parameters) {
        return through(() => {
          isInside = true;
          try {
            return Reflect.apply(wait, this, parameters);
          } finally {
            isInside = false;
          }
        });
      }
      Object.defineProperty(prototype, name, { configurable: true, get: () => (isInside ? wait : watched) });
    }
  }
}

/** @param {{ file: string, line?: number, column?: number }[]} frames @param {string} scriptUrl */
function placeOf(frames, scriptUrl) {
  const frame = frames.find(({ file }) => file === scriptUrl || file === fileURLToPath(scriptUrl));
  return frame ? `script.mjs:${frame.line}:${frame.column}` : '';
}
