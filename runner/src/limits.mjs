/**
 * Reports the usage limits that services announce in their answers, so that the worker can hold back other jobs.
 *
 * Called by run; sees the answers that pages get (those that CORS hides from the page too) and those of
 * context.request and fetch. It must never read a body, report another header than those of LIMIT_HEADER, or report a
 * host that is no service's.
 */

const LIMIT_HEADER = /^(retry-after|(x-)?rate-?limit(-.+)?)$/;
/** Reports per service and second; of the rest the newest is sent when the second is over. 429 is always sent. */
const MAX_PER_SECOND = 10;
const MAX_HEADERS = 32;
const MAX_VALUE_CHARS = 1024;

/**
 * @typedef {object} LimitWatch
 * @property {(answer: { url: string, status: number, headers: Promise<Record<string, string>> }) => void} observe
 * @property {() => Promise<void>} settled resolves when everything observed so far has been reported
 */

/**
 * @param {Record<string, import('./job.mjs').Service>} services
 * @param {import('./events.mjs').Events} events
 * @returns {LimitWatch | null} null when there is nothing to watch
 */
export function watchLimits(services, events) {
  const watched = Object.entries(services)
    .filter(([, service]) => service.baseUrl !== null)
    .map(([name, service]) => {
      const url = new URL(/** @type {string} */ (service.baseUrl));
      return { name, host: url.host, path: url.pathname.replace(/\/$/, ''), report: createReporter(events) };
    })
    // The longest path first: two services may live on one host.
    .sort((a, b) => b.path.length - a.path.length);
  if (watched.length === 0) return null;

  /** @type {Set<Promise<void>>} */
  const pending = new Set();
  return {
    observe({ url, status, headers }) {
      const { host, pathname } = new URL(url);
      const onHost = watched.filter((service) => service.host === host);
      const service = onHost.find(({ path }) => pathname === path || pathname.startsWith(`${path}/`)) ?? onHost[0];
      if (!service) return;
      const task = headers.then((all) => {
        const found = limitHeaders(all);
        if (status !== 429 && Object.keys(found).length === 0) return;
        service.report({ service: service.name, status, host, headers: found });
      }).catch(() => {}); // the page went away before its headers could be read
      pending.add(task);
      task.finally(() => pending.delete(task));
    },
    async settled() {
      await Promise.all(pending);
      for (const service of watched) service.report(null);
    },
  };
}

/** @param {Record<string, string>} headers */
function limitHeaders(headers) {
  /** @type {Record<string, string>} */
  const found = {};
  for (const [name, value] of Object.entries(headers)) {
    if (Object.keys(found).length >= MAX_HEADERS) break;
    if (LIMIT_HEADER.test(name.toLowerCase())) found[name.toLowerCase()] = value.slice(0, MAX_VALUE_CHARS);
  }
  // With it, the worker can tell how far the service's clock is from its own.
  if (Object.keys(found).length > 0 && headers.date) found.date = headers.date.slice(0, MAX_VALUE_CHARS);
  return found;
}

/**
 * @param {import('./events.mjs').Events} events
 * @returns {(report: { service: string, status: number, host: string, headers: Record<string, string> } | null) => void}
 *   null sends what is held back
 */
function createReporter(events) {
  let windowStart = -Infinity;
  let sent = 0;
  /** @type {object | null} */
  let held = null;
  /** @type {NodeJS.Timeout | undefined} */
  let timer;
  const flush = () => {
    clearTimeout(timer);
    timer = undefined;
    if (held) events.emit('limits', held);
    held = null;
  };
  return (report) => {
    if (report === null) return flush();
    const now = performance.now();
    if (now - windowStart >= 1000) {
      windowStart = now;
      sent = 0;
    }
    if (report.status !== 429 && sent >= MAX_PER_SECOND) {
      held = report;
      timer ??= setTimeout(flush, 1000 - (now - windowStart));
      return;
    }
    sent += 1;
    if (held) flush(); // never after a newer one
    events.emit('limits', report);
  };
}
