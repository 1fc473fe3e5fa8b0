/**
 * Every way a run can fail: its protocol code, the process's exit code, and whether a retry can
 * help.
 *
 * The worker moves a profile to another proxy on PROXY, so that code is never a guess. It needs an
 * error that points at the proxy.
 */

import { fileURLToPath } from 'node:url';
import { inspect, types } from 'node:util';
import { cutWithMark } from './bounds.mjs';

/** @type {Record<string, { exit: number, retryable: boolean }>} */
const CODES = {
  BAD_INPUT: { exit: 64, retryable: false },
  SCRIPT_SYNTAX: { exit: 1, retryable: false },
  SCRIPT_NO_EXPORT: { exit: 1, retryable: false },
  SCRIPT_ERROR: { exit: 1, retryable: true },
  RESULT_NOT_JSON: { exit: 1, retryable: false },
  RESULT_TOO_LARGE: { exit: 1, retryable: false },
  RESULT_TOO_DEEP: { exit: 1, retryable: false },
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

/** What a script looks like, for people who brought one from elsewhere. */
export const SCRIPT_FORM = 'A script is an ES module that exports a function: '
  + '`export default async ({ page, context, input }) => { ... }`. The browser is open when it is called, and it may '
  + "import only Node's built-in modules: `import fs from 'node:fs'`.";

const FOR_PAGE = 'Only pages have it: `await page.evaluate(() => ...)`.';

/** Longest chain of errors that is told: an error, its causes, and the errors that it gathers. */
const MAX_ERRORS_TOLD = 20;
/** Longest text of the fields that an error has besides, in characters. */
const MAX_FIELDS_CHARS = 1000;
/** Fields of errors that are told by name. */
const TOLD_FIELDS = ['name', 'message', 'stack', 'cause', 'errors'];
/** Fields of errors of the system that its message tells. */
const SYSTEM_FIELDS = ['errno', 'code', 'syscall', 'address', 'port', 'path', 'dest'];

// Playwright begins a message with the call: "page.goto: net::ERR_...". Without it, the text is the
// script's own and says nothing about the browser.
const CALL = String.raw`[\w$]+\.[\w$]+: `;
// Chromium's own names for errors between it and the proxy. The second kind is the proxy's fault
// only when there is a proxy, because a site may ask for a password too.
const PROXY_ERROR = new RegExp(`${CALL}net::ERR_(PROXY|TUNNEL|SOCKS|HTTPS_PROXY|MANDATORY_PROXY|NO_SUPPORTED_PROXIES|UNEXPECTED_PROXY|INVALID_AUTH_CREDENTIALS)`);
const NETWORK_ERROR = new RegExp(`${CALL}net::ERR_\\w+`);
/**
 * Those that the address or the certificate makes certain. An HTTP command's CERTIFICATE is not
 * retried either.
 */
const CERTAIN_NETWORK_ERROR = new RegExp(`${CALL}(net::ERR_(CERT_|UNSAFE_PORT|INVALID_URL|UNKNOWN_URL_SCHEME|DISALLOWED_URL_SCHEME|FILE_NOT_FOUND|SSL_VERSION_OR_CIPHER_MISMATCH)`
  + '|Protocol error \\(Page\\.navigate\\): Cannot navigate to invalid URL)');
const CONNECT_ERROR = /\b(ECONNREFUSED|ECONNRESET|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH|ENOTFOUND)\b|Proxy connection ended/;
const CRASH_ERROR = new RegExp(`${CALL}(Page|Target) crashed\\b`);
/**
 * What a script from elsewhere counts on: what CommonJS modules have, what the test runner gives, and
 * what the function would have been given.
 */
const NOT_GIVEN = new RegExp(`^(${[
  'require', 'module', 'exports', '__dirname', '__filename', 'test', 'expect', 'browser', 'chromium', 'page', 'context',
  'input', 'services', 'profile', 'log', 'progress', 'artifact', 'step', 'signal',
].join('|')}) is not defined`);
const RUNNER_URL = new URL('.', import.meta.url).href;
/** How this program's files begin in a stack. */
const RUNNER = [RUNNER_URL, fileURLToPath(RUNNER_URL)];
/** Node's codes for a module that is not there, with import and with require. */
export const MODULE_MISSING = ['ERR_MODULE_NOT_FOUND', 'ERR_UNSUPPORTED_DIR_IMPORT', 'ERR_UNKNOWN_BUILTIN_MODULE', 'MODULE_NOT_FOUND'];

/** @type {WeakSet<object>} */
const certainErrors = new WeakSet();

/**
 * Marks an error that every further attempt would meet, so that the job is not retried because of
 * it.
 * @template {Error} E
 * @param {E} error
 * @returns {E}
 */
export function certain(error) {
  certainErrors.add(error);
  return error;
}

/**
 * Turns any value that a script threw into a failure.
 * @param {unknown} error
 * @param {{ proxyServer: string | null, scriptUrl: string }} context
 * @returns {Failure}
 */
export function fromScriptError(error, { proxyServer, scriptUrl }) {
  if (isError(error) && error instanceof Failure) return error;
  const message = describe(error, scriptUrl);
  if (CRASH_ERROR.test(message)) return new Failure('PAGE_CRASHED', message);
  if (proxyServer !== null && isProxyError(message, proxyServer)) return new Failure('PROXY', message);
  const isCertain = CERTAIN_NETWORK_ERROR.test(message) || (isError(error) && certainErrors.has(error));
  if (NETWORK_ERROR.test(message)) return new Failure('NAVIGATION', message, { retryable: !isCertain });
  if (isForPage(error)) return new Failure('SCRIPT_ERROR', `${message}. ${FOR_PAGE}`, { retryable: false });
  if (isForeign(error)) return new Failure('SCRIPT_ERROR', `${message}. ${SCRIPT_FORM}`, { retryable: false });
  return new Failure('SCRIPT_ERROR', message, { retryable: !isCertain });
}

/** Whether a script looks for what only a page has. @param {unknown} error */
function isForPage(error) {
  return isError(error) && error instanceof ReferenceError && /^(document|window|localStorage) is not defined/.test(field(error, 'message'));
}

/**
 * Whether a script failed because it was written for another place: as a CommonJS module, or with
 * packages.
 * @param {unknown} error
 */
function isForeign(error) {
  if (!isError(error)) return false;
  return (error instanceof ReferenceError && NOT_GIVEN.test(field(error, 'message')))
    || MODULE_MISSING.includes(field(error, 'code'));
}

/**
 * @param {string} message
 * @param {string} proxyServer
 */
function isProxyError(message, proxyServer) {
  if (PROXY_ERROR.test(message)) return true;
  // context.request connects to the proxy from Node, whose errors name the address and not its
  // role.
  return CONNECT_ERROR.test(message) && message.includes(new URL(proxyServer).host);
}

/**
 * Returns an error as text: its name, its message, where in the script it was thrown, its causes,
 * and the errors that it gathers. Never throws, whatever was thrown.
 * @param {unknown} error
 * @param {string} scriptUrl
 * @returns {string}
 */
export function describe(error, scriptUrl) {
  if (!isError(error)) return `the script threw ${shown(error)}`;
  return told(error, scriptUrl, new Set()).join('\n');
}

/**
 * @param {unknown} error
 * @param {string} scriptUrl
 * @param {Set<unknown>} seen errors that were told before, because causes may form a circle
 * @returns {string[]} its lines
 */
function told(error, scriptUrl, seen) {
  if (!isError(error)) return shown(error).split('\n');
  if (seen.has(error)) return ['(an error that is told above)'];
  seen.add(error);
  const name = field(error, 'name');
  const message = field(error, 'message');
  // Node's advice for CommonJS, "you can use import instead", leads to the next error.
  const own = NOT_GIVEN.exec(message)?.[0] ?? message;
  const [first, ...lines] = plain(`${name && name !== 'Error' ? `${name}: ` : ''}${own}`, scriptUrl).trimEnd().split('\n');
  const place = placeInScript(field(error, 'stack'), scriptUrl);
  lines.unshift(place ? `${first} (${place})` : first);
  const fields = withOwnFrames(fieldsOf(error, message), scriptUrl);
  if (fields) lines.push(...`With ${fields}`.split('\n'));
  const { errors, cause } = /** @type {any} */ (parts(error));
  if (Array.isArray(errors)) {
    let left = errors.length;
    for (const item of errors) {
      if (seen.size >= MAX_ERRORS_TOLD || errors.length - left >= MAX_ERRORS_TOLD) break;
      left -= 1;
      const [head, ...rest] = told(item, scriptUrl, seen);
      lines.push(`- ${head}`, ...rest.map((line) => `  ${line}`));
    }
    if (left > 0) lines.push(`- (${left} more)`);
  }
  if (cause === undefined) return lines;
  if (seen.size >= MAX_ERRORS_TOLD) return [...lines, '(further causes are left out)'];
  const [head, ...rest] = told(cause, scriptUrl, seen);
  return [...lines, `Caused by: ${head}`, ...rest];
}

/**
 * Returns what an error has besides, such as a code, as Node writes it; empty if nothing. Playwright's
 * own errors have nothing for people.
 * @param {any} error
 * @param {string} message
 */
function fieldsOf(error, message) {
  if (new RegExp(`^${CALL}`).test(message)) return '';
  try {
    if (MODULE_MISSING.includes(error.code) || error.code === 'ERR_ASSERTION') return '';
    const isOfSystem = error.syscall !== undefined && message.includes(error.code);
    const entries = Object.entries(error)
      .filter(([key, value]) => !TOLD_FIELDS.includes(key) && value !== undefined && value !== error && !(isOfSystem && SYSTEM_FIELDS.includes(key)));
    return entries.length > 0 ? cutWithMark(shown(Object.fromEntries(entries)), MAX_FIELDS_CHARS) : '';
  } catch {
    return '';
  }
}

/**
 * Errors of another realm are no instances of this one's, and a Proxy may refuse the question.
 * @param {unknown} error
 * @returns {error is Error}
 */
function isError(error) {
  try {
    return types.isNativeError(error) || error instanceof Error;
  } catch {
    return false;
  }
}

/**
 * Returns a field of an error as text, or an empty text if a getter throws.
 * @param {any} error
 * @param {'name' | 'message' | 'stack' | 'code'} name
 * @returns {string}
 */
function field(error, name) {
  try {
    const value = error[name];
    return typeof value === 'string' || value === undefined ? value ?? '' : shown(value);
  } catch {
    return '';
  }
}

/** @param {any} error */
function parts(error) {
  try {
    return { errors: error.errors, cause: error.cause };
  } catch {
    return {};
  }
}

/** Returns any value as text. @param {unknown} value @returns {string} */
function shown(value) {
  try {
    return inspect(value, { depth: 2, breakLength: Infinity });
  } catch {
    return `a ${typeof value} that cannot be shown`;
  }
}

/**
 * Returns the stack frames that lie in the script, without this machine's paths.
 * @param {unknown} error
 * @param {string} scriptUrl
 */
export function scriptFrames(error, scriptUrl) {
  const stack = isError(error) ? field(error, 'stack') : '';
  const path = fileURLToPath(scriptUrl);
  return stack.split('\n').filter((line) => /^\s+at /.test(line) && line.includes(path))
    .map((line) => plain(line, scriptUrl)).join('\n');
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
 * Returns a text with the script's place in the stacks that are in it, and without this program's
 * frames.
 * @param {string} text
 * @param {string} scriptUrl
 */
export function withOwnFrames(text, scriptUrl) {
  const named = text.replaceAll(scriptUrl, 'script.mjs').replaceAll(fileURLToPath(scriptUrl), 'script.mjs');
  if (!RUNNER.some((path) => named.includes(path))) return named;
  /** @type {string[]} */
  const lines = [];
  let isBelow = false;
  for (const line of named.split('\n')) {
    isBelow = /^\s+at /.test(line) && (isBelow || RUNNER.some((path) => line.includes(path)));
    if (!isBelow) lines.push(line);
    // Node writes the fields of an error behind its last frame.
    else if (line.endsWith(' {') && lines.length > 0) lines.push(`${lines.pop()} {`);
  }
  return lines.join('\n');
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
