/**
 * The bounds of what a run hands to the worker, and cutting to them.
 *
 * They stand in bounds.json, which the worker includes when it is compiled (core/src/bounds.rs), so
 * that both sides have the same. A file rather than fields of the job, because they are no choice of
 * a job, and because a runner that is tried by hand has them too.
 *
 * A character is a Unicode code point, as it is for the worker.
 */
import fs from 'node:fs';

/**
 * @type {{
 *   textCharacters: number, progressCharacters: number, failureMessageBytes: number,
 *   resultBytes: number, resultDepth: number,
 *   artifacts: number, recordings: number, artifactBytes: number, allArtifactsBytes: number,
 *   artifactNameBytes: number, contentTypeBytes: number,
 * }}
 */
export const BOUNDS = JSON.parse(fs.readFileSync(new URL('./bounds.json', import.meta.url), 'utf8'));

/** Longest note of a cut, in characters and bytes. */
const NOTE_MAX = 40;

/**
 * Returns the longest beginning of a text that has at most `max` units and splits no character.
 * @param {string} text
 * @param {number} max
 * @param {(character: string) => number} [size] units of one character, by default 1
 */
export function cut(text, max, size = () => 1) {
  let units = 0;
  let end = 0;
  for (const character of text) {
    units += size(character);
    if (units > max) return text.slice(0, end);
    end += character.length;
  }
  return text;
}

/**
 * The same with a mark where the text was cut.
 * @param {string} text
 * @param {number} max
 */
export function cutWithMark(text, max) {
  const kept = cut(text, max);
  return kept === text ? text : `${kept}…`;
}

/**
 * Returns a text of many lines as texts of whole lines that fit. Only a line that is too long by
 * itself does not.
 * @param {string} text
 * @param {number} max in characters
 */
export function inPieces(text, max) {
  if (text.length <= max) return [text];
  /** @type {string[]} */
  const pieces = [];
  let piece = '';
  for (const line of text.split('\n')) {
    if (piece !== '' && piece.length + line.length >= max) {
      pieces.push(piece.slice(1));
      piece = '';
    }
    piece += `\n${line}`;
  }
  return [...pieces, piece.slice(1)];
}

/**
 * Returns a text that fits, with a note of how much was cut off if it did not.
 * @param {string} text
 * @param {number} max in characters
 */
export function cutWithNote(text, max) {
  if (text.length <= max || cut(text, max) === text) return text;
  return noted(text, cut(text, max - NOTE_MAX));
}

/**
 * The same for a bound in bytes of UTF-8.
 * @param {string} text
 * @param {number} max
 */
export function cutBytesWithNote(text, max) {
  if (Buffer.byteLength(text) <= max) return text;
  return noted(text, cut(text, max - NOTE_MAX, (character) => Buffer.byteLength(character)));
}

/** @param {string} text @param {string} kept */
function noted(text, kept) {
  let more = 0;
  for (const _ of text.slice(kept.length)) more += 1;
  return `${kept}... (${more} more characters)`;
}
