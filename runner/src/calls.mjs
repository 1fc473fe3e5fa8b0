/**
 * Knows which calls to the browser are under way: what a script waits for when it is stopped, and
 * what it left behind when it returned.
 *
 * It stands between Playwright's client and its server, where every call passes
 * (`Connection.sendMessageToServer`). That is no public interface, so playwright-core's version is
 * exact in package.json, and plain.test.mjs fails if it changes.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import { fileURLToPath } from 'node:url';
import { cut } from './bounds.mjs';
import { certain } from './failure.mjs';

/** Longest argument of a call that is told, in characters. */
const MAX_ARGUMENT_CHARS = 200;
/** Calls that the end of the run makes anyway, so that nobody misses them. */
const CLOSING = /^\w+\.(close|dispose|stop)\(/;
/** Most calls that are told. */
const MAX_CALLS_TOLD = 3;

/**
 * @typedef {object} Call
 * @property {string} name such as `page.goto("https://...")`
 * @property {string} place where the script made it, or an empty text
 * @property {number} startedAt
 * @property {boolean} isOfMain whether the script's function made it, and not a listener
 * @property {(error: Error) => void} abandon makes it fail
 *
 * @typedef {object} Calls
 * @property {<T>(main: () => T) => T} runMain runs the script's function
 * @property {() => number} begun how many calls were begun so far
 * @property {() => boolean} areUnderWay
 * @property {() => string} told what the script's function waits for, for people; empty if nothing
 * @property {() => Promise<void>} abandon makes the calls fail that the script's function did not
 *   wait for, and resolves when rejections that nobody handles have been reported
 */

/**
 * @param {import('playwright-core').BrowserContext} context
 * @param {string} scriptUrl
 * @param {import('./mask.mjs').Mask} mask
 * @returns {Calls}
 */
export function watchCalls(context, scriptUrl, mask) {
  const main = new AsyncLocalStorage();
  /** @type {Map<unknown, Call>} */
  const underWay = new Map();
  let begun = 0;
  const connection = /** @type {any} */ (context)._connection;
  const send = connection.sendMessageToServer.bind(connection);

  /** @param {any} parameters @param {any} options @param {Call['abandon']} abandon @returns {Call} */
  const newCall = (parameters, options, abandon) => {
    begun += 1;
    return {
      name: `${options.apiName}(${argument(parameters, mask)})`,
      place: placeOf(options.frames ?? [], scriptUrl),
      startedAt: performance.now(),
      isOfMain: main.getStore() === true,
      abandon,
    };
  };

  connection.sendMessageToServer = (/** @type {any} */ object, /** @type {string} */ method, /** @type {any} */ parameters, /** @type {any} */ options) => {
    // A wait for an event is no request. It is announced when it begins and when it ends.
    if (method === '__waitInfo__') {
      if (parameters.phase === 'before' && options.apiName) underWay.set(parameters.waitId, newCall(parameters, options, () => {}));
      if (parameters.phase === 'after') underWay.delete(parameters.waitId);
      return send(object, method, parameters, options);
    }
    if (options.internal || !options.apiName) return send(object, method, parameters, options);
    return new Promise((resolve, reject) => {
      const call = newCall(parameters, options, reject);
      underWay.set(call, call);
      const answer = send(object, method, parameters, options);
      answer.finally(() => underWay.delete(call)).then(resolve, reject);
    });
  };

  return {
    runMain: (run) => main.run(true, run),
    begun: () => begun,
    areUnderWay: () => underWay.size > 0,
    told() {
      const calls = [...underWay.values()].filter(({ isOfMain }) => isOfMain).sort((a, b) => a.startedAt - b.startedAt);
      const told = calls.slice(0, MAX_CALLS_TOLD).map(({ name, place, startedAt }) => {
        const seconds = ((performance.now() - startedAt) / 1000).toFixed(1);
        return `${name}${place && ` at ${place}`}, for ${seconds} s`;
      });
      const more = calls.length - told.length;
      return told.join('; ') + (more > 0 ? `; and ${more} more` : '');
    },
    async abandon() {
      const left = [...underWay.values()].filter(({ isOfMain, name }) => isOfMain && !CLOSING.test(name));
      if (left.length === 0) return;
      for (const call of left) {
        // The call's name and place come before and after it, as in every error of Playwright.
        call.abandon(certain(new Error('it was still under way when the script returned, and is cut off. Await it, or return its promise.')));
      }
      // Node reports rejections without a handler when the microtasks are done.
      await new Promise((resolve) => { setImmediate(resolve); });
    },
  };
}

/**
 * The argument that says most. Masked before it is cut, because half a secret is not recognised.
 * @param {any} parameters
 * @param {import('./mask.mjs').Mask} mask
 */
function argument(parameters, mask) {
  const said = parameters?.selector ?? parameters?.url ?? parameters?.event;
  return typeof said === 'string' ? JSON.stringify(cut(mask(said), MAX_ARGUMENT_CHARS)) : '';
}

/** @param {{ file: string, line?: number, column?: number }[]} frames @param {string} scriptUrl */
function placeOf(frames, scriptUrl) {
  const frame = frames.find(({ file }) => file === scriptUrl || file === fileURLToPath(scriptUrl));
  return frame ? `script.mjs:${frame.line}:${frame.column}` : '';
}
