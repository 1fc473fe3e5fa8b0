/**
 * Turns the script's console calls, and everything else written to stdout or stderr, into log
 * events.
 *
 * It is installed before the script is loaded. stdout carries the protocol, so nothing else may
 * reach it. The events themselves are written to the file descriptor and do not pass through here.
 */
import { Console } from 'node:console';
import { Writable } from 'node:stream';
import { StringDecoder } from 'node:string_decoder';

/** Longest line kept, in characters, more than an event holds. The rest of the line is dropped. */
const MAX_LINE_CHARS = 64 * 1024;

/** @param {import('./events.mjs').Events} events */
export function captureConsole(events) {
  /** @param {string} level */
  const lines = (level) => lineWriter((text) => events.emit('log', { level, text }));
  const [debug, info, warn, error] = ['debug', 'info', 'warn', 'error'].map(lines);
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
}

/** @param {(line: string) => void} onLine */
function lineWriter(onLine) {
  const decoder = new StringDecoder('utf8');
  let partial = '';
  return new Writable({
    decodeStrings: true,
    write(chunk, _encoding, done) {
      const parts = (partial + decoder.write(chunk)).split('\n');
      partial = (parts.pop() ?? '').slice(0, MAX_LINE_CHARS);
      parts.forEach(onLine);
      done();
    },
  });
}
