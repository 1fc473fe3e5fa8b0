/**
 * Writes the protocol to stdout: one JSON object per line, in order, without delay.
 *
 * This is the border of the run: whatever a script or a page hands over becomes well-formed text
 * here, and fits the bounds. Writes are synchronous, so that the last event is out before the
 * process exits. Never writes a secret, half a line, or anything after the run's last event, and
 * never throws.
 */
import fs from 'node:fs';
import { BOUNDS, cutBytesWithNote, cutWithNote } from './bounds.mjs';
import { noMask } from './mask.mjs';

export const PROTOCOL_VERSION = 1;

/** A reader that reads nothing for this long counts as dead, in milliseconds. */
const MAX_STALL_MS = 30_000;

/**
 * @typedef {object} Events
 * @property {(type: string, fields?: Record<string, any>) => void} emit
 * @property {(last?: { type: 'result' | 'failure', fields: Record<string, any> }) => void} end tells
 *   what is held back, and then the last event, unless it was told before
 * @property {(mask: import('./mask.mjs').Mask) => void} maskWith
 * @property {(text: string) => number} heldBack how many of the last characters may begin a secret
 * @property {(tell: () => void) => void} onEnd adds what tells what it holds back
 */

/**
 * @param {number} fd
 * @param {(error: Error) => void} onBroken called once, when the reader is gone
 * @returns {Events}
 */
export function createEvents(fd, onBroken) {
  /** @type {import('./mask.mjs').Mask} */
  let mask = noMask;
  let closed = false;
  /** @type {(() => void)[]} */
  const held = [];

  /** @type {Events['emit']} */
  const emit = (type, fields = {}) => {
    if (closed) return;
    // Cut after masking, because half a secret is not recognised.
    const outward = cutToBounds(type, wellFormed(fields, mask));
    const line = JSON.stringify({ v: PROTOCOL_VERSION, type, ...outward });
    // The line break before the event ends what a child process of the script may have written to
    // the same pipe without one. Readers skip empty lines.
    const error = writeLine(fd, `\n${line}\n`);
    if (!error) return;
    closed = true;
    onBroken(error);
  };
  return {
    emit,
    onEnd(tell) {
      held.push(tell);
    },
    end(last) {
      held.forEach((tell) => tell());
      if (last) emit(last.type, last.fields);
      closed = true;
    },
    maskWith(newMask) {
      mask = newMask;
    },
    heldBack: (text) => mask.heldBack(text),
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
 * Returns a copy of a JSON value in which every string and every key is well-formed: half a
 * surrogate pair, which neither UTF-8 nor JSON readers take, becomes U+FFFD. Strings are masked
 * here. The worker masks keys, and numbers those that become the same.
 * @param {any} value
 * @param {import('./mask.mjs').Mask} [mask]
 * @returns {any}
 */
export function wellFormed(value, mask = noMask) {
  if (typeof value === 'string') return mask(value.toWellFormed());
  if (Array.isArray(value)) return value.map((item) => wellFormed(item, mask));
  if (value === null || typeof value !== 'object') return value;
  const copy = Object.create(null);
  for (const [key, item] of Object.entries(value)) {
    // Two keys that differ only in what is ill-formed, or in NUL, which the worker replaces, stay two.
    let name = key.toWellFormed().replaceAll('\0', '\u{FFFD}');
    if (name !== key) while (name in copy || Object.hasOwn(value, name)) name += '\u{FFFD}';
    copy[name] = wellFormed(item, mask);
  }
  return copy;
}

/**
 * Returns the fields with their texts cut to the bounds of the event. A result has a bound of its
 * own, which run.mjs checks, because half of it would be another result.
 * @param {string} type
 * @param {Record<string, any>} fields
 * @returns {Record<string, any>}
 */
function cutToBounds(type, fields) {
  if (type === 'result') return fields;
  for (const [key, value] of Object.entries(fields)) {
    if (typeof value !== 'string') continue;
    if (type === 'failure') fields[key] = cutBytesWithNote(value, BOUNDS.failureMessageBytes);
    else fields[key] = cutWithNote(value, type === 'progress' ? BOUNDS.progressCharacters : BOUNDS.textCharacters);
  }
  return fields;
}
