/**
 * Turns the script's console calls, and everything else written to stdout or stderr, into log
 * events.
 *
 * It is installed before the script is loaded. stdout carries the protocol, so nothing else may
 * reach it. The events themselves are written to the file descriptor and do not pass through here.
 */
import { Console } from 'node:console';
import { Readable, Writable } from 'node:stream';
import { StringDecoder } from 'node:string_decoder';
import { withOwnFrames } from './failure.mjs';

/**
 * Longest line without an end that is held back, in UTF-16 units. A longer one is told in pieces,
 * which the event cuts to its own bound.
 */
const MAX_HELD_CHARS = 64 * 1024;
/** How long text without a line end is held back, in milliseconds. */
const HOLD_MS = 1000;

/**
 * @param {import('./events.mjs').Events} events
 * @param {string} scriptUrl
 * @returns {() => void} tells what has no line end yet
 */
export function captureConsole(events, scriptUrl) {
  /** @param {string} level */
  const lines = (level) => lineWriter((text) => withOwnFrames(text, scriptUrl), (text) => events.emit('log', { level, text }), events.heldBack);
  const writers = ['debug', 'info', 'warn', 'error'].map(lines);
  const [debug, info, warn, error] = writers.map(({ stream }) => stream);
  const plain = { colorMode: false };
  const console = new Console({ stdout: info, stderr: error, ...plain });
  const asWarning = new Console({ stdout: warn, stderr: warn, ...plain });
  const asDebug = new Console({ stdout: debug, stderr: debug, ...plain });
  console.warn = asWarning.warn.bind(asWarning);
  console.debug = asDebug.debug.bind(asDebug);
  console.trace = asDebug.trace.bind(asDebug);
  Object.assign(globalThis.console, console);

  // process.stdout itself cannot be replaced, but its write method can.
  process.stdout.write = /** @type {any} */ (info.write.bind(info));
  process.stderr.write = /** @type {any} */ (error.write.bind(error));
  // stdin is the worker's, and nobody types.
  Object.defineProperty(process, 'stdin', { configurable: true, value: Readable.from([]) });
  return () => writers.forEach(({ flush }) => flush());
}

/**
 * @param {(text: string) => string} readable
 * @param {(line: string) => void} onLine
 * @param {(text: string) => number} heldBack how many of the last characters wait for more
 */
function lineWriter(readable, onLine, heldBack) {
  const decoder = new StringDecoder('utf8');
  let held = '';
  /** Whether the beginning of a line was told without its end. */
  let isBegun = false;
  /** @type {NodeJS.Timeout | undefined} */
  let timer;
  /** @param {number} kept */
  const flush = (kept) => {
    clearTimeout(timer);
    timer = undefined;
    const text = held.slice(0, held.length - kept);
    if (text !== '') onLine(text);
    isBegun ||= text !== '';
    held = held.slice(text.length);
  };
  // The rest of a secret may follow, and half of one is not recognised.
  const flushBegun = () => flush(heldBack(held));
  const stream = new Writable({
    decodeStrings: true,
    write(chunk, _encoding, done) {
      const parts = readable(held + decoder.write(chunk)).split('\n');
      held = parts.pop() ?? '';
      if (parts.length > 0) {
        // The end of a line that was told is no line.
        if (isBegun && parts[0] === '') parts.shift();
        isBegun = false;
      }
      parts.forEach(onLine);
      if (held.length > MAX_HELD_CHARS) flushBegun();
      if (held !== '') timer ??= setTimeout(flushBegun, HOLD_MS).unref();
      done();
    },
  });
  return { stream, flush: () => flush(0) };
}
