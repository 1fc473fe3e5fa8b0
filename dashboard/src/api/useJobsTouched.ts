// Calls back when jobs have changed, at most once a second, so that a page reads again what
// depends on them.
import { useEffect, useRef } from 'react';
import { graphql, type VariablesOf } from '../graphql';
import { stream } from './stream';

const JobsTouched = graphql(`
  subscription JobsTouched($filter: JobFilter, $after: String) {
    jobsChanged(filter: $filter, after: $after) {
      cursor
      changes {
        id
      }
    }
  }
`);

const EVERY = 1000;

export function useJobsTouched(filter: VariablesOf<typeof JobsTouched>['filter'], again: () => Promise<void>): void {
  const current = useRef(again);
  current.current = again;
  const key = JSON.stringify(filter ?? null);
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout> | null = null;
    let readAt = 0;
    const read = () => {
      timer = null;
      readAt = Date.now();
      void current.current();
    };
    const end = stream(JobsTouched, { filter: JSON.parse(key) as VariablesOf<typeof JobsTouched>['filter'] }, {
      next: () => void (timer ??= setTimeout(read, Math.max(0, readAt + EVERY - Date.now()))),
    });
    return () => {
      end();
      if (timer) clearTimeout(timer);
    };
  }, [key]);
}
