/**
 * Reports the limits that services announce in their responses, so that the worker can hold back
 * other jobs.
 *
 * It sees the responses of pages (including those that CORS hides from the page), of
 * context.request and of fetch. Never reports a header other than Date that LIMIT_HEADER does not
 * match, a host that belongs to no service, or the body of anything but a refusal.
 */
import { cutWithMark } from './bounds.mjs';

const LIMIT_HEADER = /^(.+-)?(retry-after|rate-?limit)(-.+)?$|^x-(app|user)-limit-|^x-shopify-shop-api-call-limit$|^sforce-limit-info$/;
/**
 * Reports per service and second. Of those beyond it, only the newest is sent, when the second is
 * over. Refusals are always sent.
 */
const MAX_PER_SECOND = 10;
const MAX_HEADERS = 32;
const MAX_VALUE_CHARS = 1024;
/**
 * Statuses that may mean that a limit is reached. The body says which limit, with or without
 * headers.
 */
const REFUSALS = [402, 403, 429];
const MAX_BODY_CHARS = 4096;

/**
 * @typedef {object} Answer
 * @property {string} url
 * @property {number} status
 * @property {Promise<Record<string, string>>} headers
 * @property {() => Promise<string>} body
 */

/**
 * @typedef {object} LimitWatch
 * @property {(answer: Answer) => void} observe
 * @property {() => Promise<void>} settled resolves when every response observed so far is reported
 */

/**
 * @param {Record<string, import('./job.mjs').Service>} services
 * @param {import('./events.mjs').Events} events
 * @returns {LimitWatch | null} null if no service has a base URL
 */
export function watchLimits(services, events) {
  const watched = Object.entries(services)
    .filter(([, service]) => service.baseUrl !== null)
    .map(([name, service]) => {
      const url = new URL(/** @type {string} */ (service.baseUrl));
      return { name, host: url.host, path: url.pathname.replace(/\/$/, ''), report: createReporter(events) };
    })
    // Longest path first, because two services may share a host.
    .sort((a, b) => b.path.length - a.path.length);
  if (watched.length === 0) return null;

  /** @type {Set<Promise<void>>} */
  const pending = new Set();
  return {
    observe({ url, status, headers, body }) {
      const { host, pathname } = new URL(url);
      const onHost = watched.filter((service) => service.host === host);
      const service = onHost.find(({ path }) => pathname === path || pathname.startsWith(`${path}/`)) ?? onHost[0];
      if (!service) return;
      const isRefusal = REFUSALS.includes(status);
      // The body may no longer be readable.
      const excerpt = isRefusal ? body().then((text) => cutWithMark(text, MAX_BODY_CHARS), () => null) : null;
      const task = Promise.all([headers, excerpt]).then(([all, text]) => {
        const found = limitHeaders(all);
        if (!isRefusal && Object.keys(found).length === 0) return;
        service.report({ service: service.name, status, host, headers: found, ...(text ? { body: text } : {}) });
      }).catch(() => {}); // the page was closed before its headers could be read
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
    if (LIMIT_HEADER.test(name.toLowerCase())) found[name.toLowerCase()] = cutWithMark(value, MAX_VALUE_CHARS);
  }
  // Date shows the worker how far the service's clock is from its own.
  if (Object.keys(found).length > 0 && headers.date) found.date = cutWithMark(headers.date, MAX_VALUE_CHARS);
  return found;
}

/**
 * @param {import('./events.mjs').Events} events
 * @returns {(report: { service: string, status: number, host: string, headers: Record<string,
 *   string>, body?: string } | null) => void} null sends the report held back
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
    if (!REFUSALS.includes(report.status) && sent >= MAX_PER_SECOND) {
      held = report;
      timer ??= setTimeout(flush, 1000 - (now - windowStart));
      return;
    }
    sent += 1;
    if (held) flush(); // an older report never follows a newer one
    events.emit('limits', report);
  };
}
