// A value that is read once and then kept current by a stream that sends it whole.
import { useCallback, useEffect, useRef, useState } from 'react';
import type { Problem } from './ask';

export interface Source<Value> {
  read(): Promise<{ value: Value | null; problem: Problem | null }>;
  /** Returns how to end it. */
  follow(next: (value: Value) => void, fail: (problem: Problem) => void): () => void;
}

/** Keeps the last value when the server cannot answer. `source` stays the same object. */
export function useLive<Value>(source: Source<Value>) {
  const [value, setValue] = useState<Value | null>(null);
  const [problem, setProblem] = useState<Problem | null>(null);
  const [isLoading, setLoading] = useState(true);
  const isOver = useRef(false);
  // Counts what has come, so that an answer does not replace a message that is newer.
  const turn = useRef(0);
  const again = useCallback(async () => {
    const mine = ++turn.current;
    const found = await source.read();
    if (isOver.current || mine !== turn.current) return;
    setLoading(false);
    setProblem(found.problem);
    if (found.value !== null) setValue(found.value);
  }, [source]);
  useEffect(() => {
    isOver.current = false;
    void again();
    const end = source.follow(
      (next) => {
        turn.current++;
        setLoading(false);
        setProblem(null);
        setValue(next);
      },
      (ended) => {
        setLoading(false);
        setProblem(ended);
      },
    );
    return () => {
      isOver.current = true;
      end();
    };
  }, [source, again]);
  return { value, problem, isLoading, again };
}

/** Calls `act` every so many seconds while the tab is shown, for what no stream reports. */
export function useEvery(seconds: number, act: () => void): void {
  const current = useRef(act);
  current.current = act;
  useEffect(() => {
    const timer = setInterval(() => document.hidden || current.current(), seconds * 1000);
    return () => clearInterval(timer);
  }, [seconds]);
}
