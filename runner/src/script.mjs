/**
 * Loads the job's script and checks what it returns.
 *
 * The script is loaded before the browser starts, so that one that does not parse costs no browser.
 * It lies alone in the run's temporary directory, where it can import node: built-ins and nothing
 * else. Never put it near this program's own modules.
 */
import { execFile } from 'node:child_process';
import fs from 'node:fs/promises';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { types } from 'node:util';
import { BOUNDS } from './bounds.mjs';
import { wellFormed } from './events.mjs';
import { Failure, fromScriptError, MODULE_MISSING, placeInScript, SCRIPT_FORM } from './failure.mjs';

/**
 * @typedef {object} Script
 * @property {string} url
 * @property {(api: object) => Promise<unknown>} main
 */

/**
 * @param {string} source
 * @param {import('./workspace.mjs').Workspace} workspace
 * @returns {Promise<Script>} rejects with a Failure
 */
export async function loadScript(source, workspace) {
  const file = workspace.path('script.mjs');
  const url = pathToFileURL(file).href;
  // Imported from a file, so that stack traces have the lines that the script's author wrote.
  await fs.writeFile(file, source);
  let module;
  try {
    module = await import(url);
  } catch (error) {
    throw await loadFailure(error, file, url);
  }
  const fault = faultOf(module);
  if (fault) throw new Failure('SCRIPT_NO_EXPORT', `the script must export a function as default, but ${fault}. ${SCRIPT_FORM}`);
  return { url, main: module.default };
}

/** @param {Record<string, any>} module @returns {string | null} what is wrong with its default export */
function faultOf(module) {
  if (!('default' in module)) return `it exports ${Object.keys(module).join(', ') || 'nothing'}`;
  const main = module.default;
  if (types.isPromise(main)) return 'its default export is a promise: the function was called already';
  if (typeof main !== 'function') return `its default export is ${main === null ? 'null' : `of type ${typeof main}`}`;
  // Calling either would run nothing of it, or throw.
  if (types.isGeneratorFunction(main)) return 'its default export is a generator (function*)';
  if (/^class\b/.test(Function.prototype.toString.call(main))) return 'its default export is a class';
  return null;
}

/**
 * @param {any} error
 * @param {string} file
 * @param {string} url
 */
async function loadFailure(error, file, url) {
  if (MODULE_MISSING.includes(error?.code)) {
    const name = /'([^']+)'/.exec(error.message)?.[1]?.replace(`${path.dirname(file)}/`, './') ?? error?.message;
    return new Failure('SCRIPT_SYNTAX', `the script imports ${name}, which does not exist here. ${SCRIPT_FORM}`);
  }
  // The script's own top level may throw a SyntaxError too, for example from JSON.parse. Then the
  // stack has a frame of the script.
  const thrownByScript = new RegExp(`^\\s+at .*${url.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')}`, 'm').test(error?.stack);
  if (error?.name !== 'SyntaxError' || thrownByScript) {
    return fromScriptError(error, { proxyServer: null, scriptUrl: url });
  }
  const place = placeInScript(error.stack, url) ? withCaret(error.stack, url) : withCaret(await check(file), url);
  return new Failure('SCRIPT_SYNTAX', `SyntaxError: ${error.message}${place ? ` (${place})` : ''}`);
}

/**
 * Returns Node's own report of a syntax error, the only place where Node names the line.
 * @param {string} file
 * @returns {Promise<string>}
 */
function check(file) {
  return new Promise((resolve) => {
    execFile(process.execPath, ['--check', file], { timeout: 10_000 }, (_error, _stdout, stderr) => resolve(stderr));
  });
}

/**
 * Returns the place with its column. Node's report has the place (`script.mjs:LINE`), the line, and
 * a line of carets below the error.
 * @param {string} report
 * @param {string} url
 */
function withCaret(report, url) {
  const place = placeInScript(report, url);
  if (!place) return null;
  const caret = report.split('\n').find((line) => /^\s*\^+\s*$/.test(line));
  return caret && !/:\d+:\d+$/.test(place) ? `${place}:${caret.indexOf('^') + 1}` : place;
}

/**
 * @param {unknown} value what the script returned
 * @returns {any} the same value as plain JSON, well-formed and within the bounds
 */
export function toResult(value) {
  if (value === undefined) return null;
  const json = stringify(value);
  if (json === undefined) throw new Failure('RESULT_NOT_JSON', `the script's result is not JSON: it is a ${typeof value}`);
  const depth = nesting(json);
  if (depth > BOUNDS.resultDepth) throw tooDeep(`${depth} deep`);
  // Half a surrogate pair is six bytes of JSON, and three once it is well-formed.
  checkSize(json, 2 * BOUNDS.resultBytes);
  const result = wellFormed(JSON.parse(json));
  checkSize(JSON.stringify(result), BOUNDS.resultBytes);
  return result;
}

/** @param {string} json @param {number} max */
function checkSize(json, max) {
  const bytes = Buffer.byteLength(json);
  if (bytes > max) throw tooLarge(bytes);
}

/** @param {unknown} value */
function stringify(value) {
  try {
    return JSON.stringify(value);
  } catch (error) {
    // The stack of JSON.stringify ends at some thousand levels.
    if (error instanceof RangeError && /call stack/.test(error.message)) throw tooDeep('thousands of levels deep');
    if (error instanceof RangeError && /string length/.test(error.message)) throw tooLarge('hundreds of millions of');
    const why = error instanceof Error ? error.message : String(error);
    throw new Failure('RESULT_NOT_JSON', `the script ran to its end, but its result is not JSON: ${why}`);
  }
}

/** @param {number | string} bytes */
function tooLarge(bytes) {
  return new Failure('RESULT_TOO_LARGE', `the script ran to its end, but its result is ${bytes} bytes of JSON, more than `
    + `${BOUNDS.resultBytes}. Keep it as an artifact instead.`);
}

/** @param {string} how */
function tooDeep(how) {
  return new Failure('RESULT_TOO_DEEP', `the script ran to its end, but its result is nested ${how}, more than `
    + `${BOUNDS.resultDepth}. Keep it as an artifact instead.`);
}

/** Returns how deep the arrays and objects of a JSON text are nested. @param {string} json */
function nesting(json) {
  let depth = 0;
  let deepest = 0;
  let isText = false;
  // A regular expression would overflow the stack at a text of some megabytes.
  for (let at = 0; at < json.length; at += 1) {
    const character = json[at];
    if (isText && character === '\\') at += 1;
    else if (character === '"') isText = !isText;
    else if (!isText && (character === '[' || character === '{')) deepest = Math.max(deepest, depth += 1);
    else if (!isText && (character === ']' || character === '}')) depth -= 1;
  }
  return deepest;
}
