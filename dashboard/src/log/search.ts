// Which lines are shown and which are found.
import { plainOf } from './ansi';
import type { Line } from './documents';
import type { Lines } from './lines';

export interface Choice {
  /** Null for all attempts. */
  attempt: number | null;
  /** The streams that are left out. */
  without: ReadonlySet<Line['stream']>;
}

export const isEverything = ({ attempt, without }: Choice) => attempt === null && without.size === 0;

/** The numbers of the received lines that are chosen, or null for all lines. */
export function chosenLines(lines: Lines, choice: Choice): number[] | null {
  if (isEverything(choice)) return null;
  const found: number[] = [];
  for (let sequence = lines.first; sequence <= lines.last; sequence += 1) {
    const line = lines.get(sequence);
    if (line && !choice.without.has(line.stream) && (choice.attempt === null || line.attempt === choice.attempt)) found.push(sequence);
  }
  return found;
}

/** A pattern that finds the text as it is, ignoring case. */
export function patternOf(text: string): RegExp | null {
  return text === '' ? null : new RegExp(text.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&'), 'giu');
}

/** The numbers of the lines among the shown ones in which the text stands. */
export function hitsIn(lines: Lines, shown: readonly number[] | null, text: string): number[] {
  const pattern = patternOf(text);
  const found: number[] = [];
  if (!pattern) return found;
  const look = (sequence: number) => {
    const line = lines.get(sequence);
    if (!line) return;
    pattern.lastIndex = 0;
    if (pattern.test(plainOf(line.text))) found.push(sequence);
  };
  if (shown) shown.forEach(look);
  else for (let sequence = lines.first; sequence <= lines.last; sequence += 1) look(sequence);
  return found;
}

/** The range of lines that an address names: `L12` or `L10-L20`. */
export function rangeOf(hash: string): { from: number; to: number } | null {
  const found = /^#?L(\d{1,9})(?:-L(\d{1,9}))?/.exec(hash);
  if (!found) return null;
  const one = Number(found[1]);
  const other = Number(found[2] ?? found[1]);
  return { from: Math.min(one, other), to: Math.max(one, other) };
}
