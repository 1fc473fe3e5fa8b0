/**
 * Every way a run can fail: its protocol code, the process's exit code, and whether a retry can
 * help.
 *
 * The worker moves a profile to another proxy on PROXY, so that code is never a guess. It needs an
 * error that points at the proxy.
 */

import { fileURLToPath } from 'node:url';
import { inspect } from 'node:util';

/** @type {Record<string, { exit: number, retryable: boolean }>} */
const CODES = {
  BAD_INPUT: { exit: 64, retryable: false },
  SCRIPT_SYNTAX: { exit: 1, retryable: false },
  SCRIPT_NO_EXPORT: { exit: 1, retryable: false },
  SCRIPT_ERROR: { exit: 1, retryable: true },
  RESULT_NOT_JSON: { exit: 1, retryable: true },
  RESULT_TOO_LARGE: { exit: 1, retryable: true },
  NAVIGATION: { exit: 1, retryable: true },
  PROXY: { exit: 1, retryable: true },
  BROWSER_LAUNCH: { exit: 71, retryable: true },
  BROWSER_CLOSED: { exit: 72, retryable: true },
  PAGE_CRASHED: { exit: 72, retryable: true },
  TERMINATED: { exit: 143, retryable: true },
};

/** Exit code when the worker is gone: stdin has closed or stdout is broken. */
export const EXIT_WORKER_GONE = 74;

/** A run's failure, as reported to the worker. */
export class Failure extends Error {
  /**
   * @param {string} code one of CODES
   * @param {string} message
   * @param {{ retryable?: boolean }} [options] overrides the default of the code
   */
  constructor(code, message, options = {}) {
    super(message);
    this.name = 'Failure';
    this.code = code;
    this.retryable = options.retryable ?? CODES[code].retryable;
    this.exitCode = CODES[code].exit;
  }
}

// Chromium's own names for errors between it and the proxy. The second kind is the proxy's fault
// only when there is a proxy, because a site may ask for a password too.
const PROXY_ERROR = /net::ERR_(PROXY|TUNNEL|SOCKS|HTTPS_PROXY|MANDATORY_PROXY|NO_SUPPORTED_PROXIES|UNEXPECTED_PROXY)\w*/;
const CREDENTIALS_ERROR = /net::ERR_INVALID_AUTH_CREDENTIALS/;
const NETWORK_ERROR = /net::ERR_\w+/;
const CONNECT_ERROR = /\b(ECONNREFUSED|ECONNRESET|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH|ENOTFOUND)\b|Proxy connection ended/;
const CRASH_ERROR = /\b(Page|Target) crashed\b/;

/**
 * Turns any value that a script threw into a failure.
 * @param {unknown} error
 * @param {{ proxyServer: string | null, scriptUrl: string }} context
 * @returns {Failure}
 */
export function fromScriptError(error, { proxyServer, scriptUrl }) {
  if (error instanceof Failure) return error;
  const message = describe(error, scriptUrl);
  if (CRASH_ERROR.test(message)) return new Failure('PAGE_CRASHED', message);
  if (isProxyError(message, proxyServer)) return new Failure('PROXY', message);
  if (NETWORK_ERROR.test(message)) return new Failure('NAVIGATION', message);
  return new Failure('SCRIPT_ERROR', message);
}

/**
 * @param {string} message
 * @param {string | null} proxyServer
 */
function isProxyError(message, proxyServer) {
  if (PROXY_ERROR.test(message)) return true;
  if (proxyServer === null) return false;
  if (CREDENTIALS_ERROR.test(message)) return true;
  // context.request connects to the proxy from Node, whose errors name the address and not its
  // role.
  return CONNECT_ERROR.test(message) && message.includes(new URL(proxyServer).host);
}

/**
 * Returns an error as text: its name, its message, and where in the script it was thrown.
 * @param {unknown} error
 * @param {string} scriptUrl
 */
export function describe(error, scriptUrl) {
  if (!(error instanceof Error)) return `the script threw ${inspect(error, { depth: 2, breakLength: Infinity })}`;
  const name = error.name && error.name !== 'Error' ? `${error.name}: ` : '';
  // fetch reports only that it failed. The reason is in the cause.
  const cause = error.cause instanceof Error ? `: ${error.cause.message}` : '';
  const [first, ...rest] = plain(`${name}${error.message}${cause}`, scriptUrl).trimEnd().split('\n');
  const place = placeInScript(error.stack ?? '', scriptUrl);
  return [place ? `${first} (${place})` : first, ...rest].join('\n');
}

/**
 * Returns the stack frames that lie in the script, without this machine's paths.
 * @param {unknown} error
 * @param {string} scriptUrl
 */
export function scriptFrames(error, scriptUrl) {
  const stack = error instanceof Error ? error.stack ?? '' : '';
  return plain(stack, scriptUrl).split('\n').filter((line) => /^\s+at .*\bscript\.mjs:\d/.test(line)).join('\n');
}

/**
 * @param {string} stack
 * @param {string} scriptUrl
 * @returns {string | null} script.mjs:LINE, with :COLUMN if known; null for a stack without the
 *   script
 */
export function placeInScript(stack, scriptUrl) {
  // Node writes the URL, Playwright the path.
  const path = fileURLToPath(scriptUrl);
  const places = stack.split(scriptUrl).join(path).split(path).slice(1);
  const position = places.map((rest) => /^(:\d+(:\d+)?)/.exec(rest)?.[1]).find((found) => found);
  return position ? `script.mjs${position}` : null;
}

/**
 * Removes terminal colours and writes `script.mjs` for the temporary file's URL or path.
 * @param {string} text
 * @param {string} scriptUrl
 */
function plain(text, scriptUrl) {
  // eslint-disable-next-line no-control-regex -- colours begin with ESC
  return text.replace(/\u001b\[[0-9;]*m/g, '')
    .replaceAll(scriptUrl, 'script.mjs')
    .replaceAll(fileURLToPath(scriptUrl), 'script.mjs');
}
