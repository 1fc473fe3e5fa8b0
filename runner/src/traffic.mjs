/**
 * Watches every response that the script gets, from pages, context.request and fetch.
 *
 * Never takes a response of the proxy for one of the site.
 */
import { Failure } from './failure.mjs';

const REQUEST_METHODS = ['fetch', 'get', 'post', 'put', 'patch', 'delete', 'head'];

/**
 * @typedef {object} Traffic
 * @property {(context: import('playwright-core').BrowserContext) => void} watch
 * @property {() => void} watchFetch reports what Node's fetch is answered
 */

/**
 * @param {object} parts
 * @param {import('./limits.mjs').LimitWatch | null} parts.limits
 * @param {string | null} parts.proxyServer
 * @param {(failure: Failure) => void} parts.onRefused called if the proxy refuses the credentials
 * @returns {Traffic}
 */
export function createTraffic({ limits, proxyServer, onRefused }) {
  const httpProxy = proxyServer !== null && /^https?:/.test(proxyServer);
  const refusal = () => new Failure('PROXY', 'the proxy refused the credentials (407)');

  /**
   * @param {string} url
   * @param {number} status
   * @param {() => Promise<Record<string, string>>} headers
   * @param {() => Promise<string>} body
   */
  const look = (url, status, headers, body) => {
    // Chromium shows the proxy's own refusal as if it were the requested page.
    if (httpProxy && status === 407) return onRefused(refusal());
    if (limits && /^https?:/.test(url)) limits.observe({ url, status, headers: headers(), body });
  };

  return {
    watch(context) {
      // Each event costs a message from the browser, so listen only when it is needed.
      if (limits || httpProxy) {
        context.on('response', (response) => look(response.url(), response.status(), () => response.allHeaders(), () => response.text()));
      }
      const request = /** @type {any} */ (context.request);
      // get, post and the others call fetch, which must not be the watched one, or errors would be
      // those of "apiRequestContext.fetch".
      const unwatched = Object.assign(Object.create(request), { fetch: request.fetch });
      for (const name of REQUEST_METHODS) {
        const method = request[name];
        request[name] = async (/** @type {any[]} */ ...parameters) => {
          const response = await Reflect.apply(method, unwatched, parameters);
          if (httpProxy && response.status() === 407) throw refusal();
          look(response.url(), response.status(), async () => response.headers(), () => response.text());
          return response;
        };
      }
    },
    watchFetch() {
      const nodeFetch = globalThis.fetch;
      globalThis.fetch = async (...parameters) => {
        const response = await nodeFetch(...parameters);
        look(response.url, response.status, async () => Object.fromEntries(response.headers), () => response.clone().text());
        return response;
      };
    },
  };
}
