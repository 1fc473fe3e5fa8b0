// What was changed in a form, and what somebody else has changed in the meantime.

const isSame = (a: unknown, b: unknown) => JSON.stringify(a) === JSON.stringify(b);

/** The fields of `after` that differ from `before`. Only these are sent. */
export function changesOf<Values extends object>(before: Values, after: Values): Partial<Values> {
  const names = Object.keys(after) as (keyof Values)[];
  return Object.fromEntries(names.filter((name) => !isSame(before[name], after[name])).map((name) => [name, after[name]])) as Partial<Values>;
}

export interface Difference<Values> {
  name: keyof Values & string;
  before: unknown;
  now: unknown;
  /** What the form would store. Undefined when the form leaves the field alone. */
  mine: unknown;
}

/** The fields that are stored otherwise than they were read, each with what the form would do. */
export function differencesOf<Values extends object>(before: Values, now: Values, mine: Values): Difference<Values>[] {
  const changes = changesOf(before, mine);
  return (Object.keys(changesOf(before, now)) as (keyof Values & string)[]).map((name) => ({
    name,
    before: before[name],
    now: now[name],
    mine: changes[name],
  }));
}

/** A value of a form in one line of words. */
export function inWords(value: unknown): string {
  if (value === '' || value === null || value === undefined) return 'nothing';
  if (Array.isArray(value)) return value.length === 0 ? 'nothing' : value.map(inWords).join(', ');
  if (typeof value === 'object') return Object.values(value).map(String).filter(Boolean).join(' ');
  return String(value);
}
