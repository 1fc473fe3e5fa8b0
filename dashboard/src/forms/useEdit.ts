// The values of a form that edits a stored object, and what to do when the object has changed.
import { useState } from 'react';
import { changesOf, differencesOf, type Difference } from './edit';

export interface Stored<Values> {
  version: number;
  values: Values;
}

export interface Edit<Values> {
  values: Values;
  version: number;
  changes: Partial<Values>;
  set<Name extends keyof Values>(name: Name, value: Values[Name]): void;
  /** What has changed since the object was read. Null while that is not known to have happened. */
  differences: Difference<Values>[] | null;
  /** Told what is stored, after a refusal with STALE_VERSION. */
  outdatedBy(now: Stored<Values>): void;
  keepMine(): void;
  takeTheirs(): void;
}

export function useEdit<Values extends object>(first: Stored<Values>): Edit<Values> {
  const [base, setBase] = useState(first);
  const [values, setValues] = useState(first.values);
  const [now, setNow] = useState<Stored<Values> | null>(null);
  const settle = (chosen: (now: Stored<Values>) => Values) => {
    if (!now) return;
    setBase(now);
    setValues(chosen(now));
    setNow(null);
  };
  return {
    values,
    version: base.version,
    changes: changesOf(base.values, values),
    set: (name, value) => setValues((before) => ({ ...before, [name]: value })),
    differences: now ? differencesOf(base.values, now.values, values) : null,
    outdatedBy: setNow,
    keepMine: () => settle((stored) => ({ ...stored.values, ...changesOf(base.values, values) })),
    takeTheirs: () => settle((stored) => stored.values),
  };
}
