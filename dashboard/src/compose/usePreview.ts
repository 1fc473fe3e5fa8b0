// The server's preview of what is composed, 250 ms after typing has stopped. While it is asked for,
// and when it cannot be had, the last one stays.
import { useEffect, useRef, useState } from 'react';
import { ask, type Problem } from '../api/ask';
import type { Mistake } from '../form/draft';
import type { VariablesOf } from '../graphql';
import { Preview, type Composed } from './documents';

export type PreviewInput = VariablesOf<typeof Preview>['input'];
const PAUSE = 250;

export interface PreviewState {
  composed: Composed | null;
  mistakes: readonly Mistake[];
  problem: Problem | null;
  isOld: boolean;
}

/** The place of a mistake within the argument `input`. */
export const placed = (errors: readonly { path: readonly string[]; message: string }[]): Mistake[] =>
  errors.map(({ path, message }) => ({ path: path.slice(1), message }));

/** Null asks for nothing, because what was filled in is not whole. */
export function usePreview(input: PreviewInput | null): PreviewState & { again(): void } {
  const [state, setState] = useState<PreviewState & { key: string }>({ composed: null, mistakes: [], problem: null, isOld: true, key: '' });
  const [turn, setTurn] = useState(0);
  const newest = useRef('');
  const key = input ? `${turn} ${JSON.stringify(input)}` : '';
  newest.current = key;
  useEffect(() => {
    if (!key) return;
    const timer = setTimeout(async () => {
      const { data, problem } = await ask(Preview, { input: JSON.parse(key.slice(key.indexOf(' ') + 1)) as PreviewInput });
      if (newest.current !== key) return;
      const found = data?.commandPreview;
      setState((before) =>
        found
          ? { composed: found.composed, mistakes: placed(found.userErrors), problem: null, isOld: false, key }
          : { ...before, problem, key },
      );
    }, PAUSE);
    return () => clearTimeout(timer);
  }, [key]);
  return { ...state, isOld: state.key !== key || state.problem !== null, again: () => setTurn((before) => before + 1) };
}
