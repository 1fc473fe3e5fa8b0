// What of a log is shown: the chosen lines, and the hits of the search.
import { useDeferredValue, useEffect, useMemo, useRef, useState } from 'react';
import { useStore } from '../ui/store';
import type { Line } from './documents';
import { LogReader } from './reader';
import { chosenLines, hitsIn, isEverything, type Choice } from './search';

/** How often a search looks again while lines come in. */
const EVERY = 250;

/** A number that follows another at most every 250 ms, so that no search runs for each frame. */
function useSlow(value: number): number {
  const [slow, setSlow] = useState(value);
  const latest = useRef(value);
  latest.current = value;
  const isBehind = slow !== value;
  useEffect(() => {
    if (!isBehind) return;
    const timer = setTimeout(() => setSlow(latest.current), EVERY);
    return () => clearTimeout(timer);
  }, [isBehind, slow]);
  return slow;
}

export function useReader(jobId: string): LogReader {
  const reader = useMemo(() => new LogReader(jobId), [jobId]);
  useEffect(() => {
    void reader.start();
    return () => reader.end();
  }, [reader]);
  return reader;
}

export function useLogView(reader: LogReader, search: string, choice: Choice) {
  const state = useStore(reader.state);
  const slow = useSlow(state.version);
  const { lines } = reader;
  const wanted = useDeferredValue(search);
  const needsAll = search !== '' || !isEverything(choice);
  useEffect(() => {
    if (needsAll) reader.wantAll();
  }, [needsAll, reader]);
  // The lines are outside React, and their version says that they have changed.
  const shown = useMemo(() => (slow >= 0 ? chosenLines(lines, choice) : null), [lines, choice, slow]);
  const hits = useMemo(() => (slow >= 0 ? hitsIn(lines, shown, wanted) : []), [lines, shown, wanted, slow]);
  const count = shown ? shown.length : lines.last === 0 ? 0 : lines.last - lines.first + 1;
  const sequenceAt = (index: number) => (shown ? (shown[index] ?? 0) : lines.first + index);
  /** The row of a line, or of the first one after it. */
  const rowOf = (sequence: number) => {
    if (!shown) return sequence - lines.first;
    const found = shown.findIndex((one) => one >= sequence);
    return found < 0 ? shown.length - 1 : found;
  };
  const attempts = useMemo(() => attemptsIn(lines.last, (sequence) => lines.get(sequence)), [lines, slow]);
  return { state, shown, hits, count, sequenceAt, rowOf, attempts };
}

/** The attempts up to that of the last line. */
function attemptsIn(last: number, get: (sequence: number) => Line | undefined): number[] {
  const newest = get(last)?.attempt ?? 0;
  return Array.from({ length: newest }, (_, i) => i + 1);
}
