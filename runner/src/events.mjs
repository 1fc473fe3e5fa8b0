/**
 * Writes the protocol: one JSON object per line on stdout, in order, at once.
 *
 * Called by every step that has something to tell. Writes are synchronous, so that the last event is out before the
 * process exits. It must never write a secret, never write half a line, never throw, and never write anything after
 * the run's last event.
 */
import fs from 'node:fs';
import { maskDeep } from './mask.mjs';

export const PROTOCOL_VERSION = 1;

/** Longest text in an event, in characters. */
const MAX_TEXT_CHARS = 16 * 1024;
/** How long to wait for a reader that does not read, in milliseconds, before taking it for dead. */
const MAX_STALL_MS = 30_000;

/**
 * @typedef {object} Events
 * @property {(type: string, fields?: Record<string, any>) => void} emit
 * @property {(type: 'result' | 'failure', fields: Record<string, any>) => void} emitLast
 * @property {(mask: import('./mask.mjs').Mask) => void} maskWith
 */

/**
 * @param {number} fd
 * @param {(error: Error) => void} onBroken called once, when nobody can read any more
 * @returns {Events}
 */
export function createEvents(fd, onBroken) {
  /** @type {import('./mask.mjs').Mask} */
  let mask = (text) => text;
  let closed = false;

  /** @type {Events['emit']} */
  const emit = (type, fields = {}) => {
    if (closed) return;
    const masked = maskDeep(fields, mask);
    // Cut after masking: half a secret is not recognised. A result has its own bound, and must stay what it is.
    if (type !== 'result') for (const key of Object.keys(masked)) masked[key] = boundedText(masked[key]);
    const line = JSON.stringify({ v: PROTOCOL_VERSION, type, ...masked });
    const error = writeLine(fd, `${line}\n`);
    if (!error) return;
    closed = true;
    onBroken(error);
  };
  return {
    emit,
    emitLast(type, fields) {
      emit(type, fields);
      closed = true;
    },
    maskWith(newMask) {
      mask = newMask;
    },
  };
}

/**
 * @param {number} fd
 * @param {string} line
 * @returns {Error | null} why the reader is gone
 */
function writeLine(fd, line) {
  let rest = Buffer.from(line);
  let stalledSince = 0;
  while (rest.length > 0) {
    try {
      rest = rest.subarray(fs.writeSync(fd, rest));
      stalledSince = 0;
    } catch (error) {
      // The pipe is full and not blocking (its other end may have been made so): wait for the reader, here, because
      // returning would let a later event overtake this one.
      const { code } = /** @type {NodeJS.ErrnoException} */ (error);
      if (code !== 'EAGAIN' && code !== 'EINTR') return /** @type {Error} */ (error);
      stalledSince ||= performance.now();
      if (performance.now() - stalledSince > MAX_STALL_MS) return new Error('stdout is not being read');
      pause(2);
    }
  }
  return null;
}

const neverNotified = new Int32Array(new SharedArrayBuffer(4));

/** @param {number} milliseconds */
function pause(milliseconds) {
  Atomics.wait(neverNotified, 0, 0, milliseconds);
}

/**
 * @param {any} value
 * @returns {any} a string cut to what one event may carry, saying so; anything else as it is
 */
function boundedText(value) {
  if (typeof value !== 'string' || value.length <= MAX_TEXT_CHARS) return value;
  return `${value.slice(0, MAX_TEXT_CHARS)}... (${value.length - MAX_TEXT_CHARS} more characters)`;
}
