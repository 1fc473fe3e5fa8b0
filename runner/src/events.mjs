/**
 * Writes the protocol to stdout: one JSON object per line, in order, without delay.
 *
 * Writes are synchronous, so that the last event is out before the process exits. Never writes a
 * secret, half a line, or anything after the run's last event, and never throws.
 */
import fs from 'node:fs';
import { maskDeep } from './mask.mjs';

export const PROTOCOL_VERSION = 1;

/** Longest text in an event, in characters. */
const MAX_TEXT_CHARS = 16 * 1024;
/** A reader that reads nothing for this long counts as dead, in milliseconds. */
const MAX_STALL_MS = 30_000;

/**
 * @typedef {object} Events
 * @property {(type: string, fields?: Record<string, any>) => void} emit
 * @property {(type: 'result' | 'failure', fields: Record<string, any>) => void} emitLast
 * @property {(mask: import('./mask.mjs').Mask) => void} maskWith
 */

/**
 * @param {number} fd
 * @param {(error: Error) => void} onBroken called once, when the reader is gone
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
    // Cut after masking, because half a secret is not recognised. A result has its own limit and
    // must stay valid.
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
 * @returns {Error | null} why the reader is gone, or null once the line is written
 */
function writeLine(fd, line) {
  let rest = Buffer.from(line);
  let stalledSince = 0;
  while (rest.length > 0) {
    try {
      rest = rest.subarray(fs.writeSync(fd, rest));
      stalledSince = 0;
    } catch (error) {
      // The pipe is full and non-blocking (its other end may have set that). Wait for the reader
      // here, because returning would let a later event overtake this one.
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
 * @returns {any} a string cut to the limit of one event, with a note of the cut; any other value as
 *   it is
 */
function boundedText(value) {
  if (typeof value !== 'string' || value.length <= MAX_TEXT_CHARS) return value;
  return `${value.slice(0, MAX_TEXT_CHARS)}... (${value.length - MAX_TEXT_CHARS} more characters)`;
}
