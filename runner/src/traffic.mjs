/**
 * Watches every response that the script gets, from pages, context.request and fetch.
 *
 * Never takes a response of the proxy for one of the site, and never lets the script's own fetch
 * bypass the proxy.
 */
import { Failure } from './failure.mjs';

/**
 * @param {object} parts
 * @param {import('playwright-core').BrowserContext} parts.context
 * @param {import('./limits.mjs').LimitWatch | null} parts.limits
 * @param {string | null} parts.proxyServer
 * @returns {Promise<Failure>} resolves if the proxy refuses the credentials
 */
export function watchTraffic({ context, limits, proxyServer }) {
  const httpProxy = proxyServer !== null && /^https?:/.test(proxyServer);
  /** @type {(failure: Failure) => void} */
  let refuse = () => {};
  /** @type {Promise<Failure>} */
  const refused = new Promise((resolve) => { refuse = resolve; });
  const refusal = () => new Failure('PROXY', 'the proxy refused the credentials (407)');

  /**
   * @param {string} url
   * @param {number} status
   * @param {() => Promise<Record<string, string>>} headers
   * @param {() => Promise<string>} body
   */
  const look = (url, status, headers, body) => {
    // Chromium shows the proxy's own refusal as if it were the requested page.
    if (httpProxy && status === 407) return refuse(refusal());
    if (limits && /^https?:/.test(url)) limits.observe({ url, status, headers: headers(), body });
  };

  // Each event costs a message from the browser, so listen only when it is needed.
  if (limits || httpProxy) {
    context.on('response', (response) => look(response.url(), response.status(), () => response.allHeaders(), () => response.text()));
  }

  const request = context.request;
  const requestFetch = request.fetch.bind(request); // get, post and the others go through it
  request.fetch = async (target, options) => {
    const response = await requestFetch(target, options);
    if (httpProxy && response.status() === 407) throw refusal();
    look(response.url(), response.status(), async () => response.headers(), () => response.text());
    return response;
  };

  if (proxyServer === null) {
    const nodeFetch = globalThis.fetch;
    globalThis.fetch = async (...parameters) => {
      const response = await nodeFetch(...parameters);
      look(response.url, response.status, async () => Object.fromEntries(response.headers), () => response.clone().text());
      return response;
    };
  } else {
    refuseDirectTraffic();
  }
  return refused;
}

/**
 * Node's own clients ignore the proxy. Using one by mistake would show the machine's own address.
 */
function refuseDirectTraffic() {
  /** @param {string} name */
  const refusal = (name) => new Error(`${name} does not go through the proxy. Use context.request or the page instead.`);
  globalThis.fetch = async () => { throw refusal('fetch'); };
  for (const name of ['WebSocket', 'EventSource']) {
    if (!(name in globalThis)) continue;
    /** @type {any} */ (globalThis)[name] = class { constructor() { throw refusal(name); } };
  }
}
