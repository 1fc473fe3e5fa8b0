// Between what forms hold, which is text, and what the API takes.
import type { Row } from '../forms/RowsField';

/** `a, b` as a list, without blanks. */
export const listOf = (text: string): string[] => text.split(/[,\n]/).map((one) => one.trim()).filter(Boolean);

/** A number, or null of nothing. */
export const numberOf = (text: string): number | null => (text.trim() === '' ? null : Number(text));

export const textOrNull = (text: string): string | null => (text.trim() === '' ? null : text.trim());

interface Limit {
  name: string;
  limit: number;
  per: string;
  burst: number;
}

export const RATE_COLUMNS = [
  { name: 'name', label: 'Name' },
  { name: 'limit', label: 'Jobs', type: 'number' },
  { name: 'per', label: 'Per, such as PT1M' },
  { name: 'burst', label: 'At once', type: 'number' },
] as const;

export const FRESH_RATE: Row = { name: 'default', limit: '', per: 'PT1M', burst: '1' };

export const rowsOfLimits = (limits: readonly Limit[]): Row[] =>
  limits.map(({ name, limit, per, burst }) => ({ name, limit: String(limit), per, burst: String(burst) }));

export const limitsOf = (rows: readonly Row[]) =>
  rows.map(({ name = '', limit = '', per = '', burst = '' }) => ({ name, limit: Number(limit), per, burst: numberOf(burst) }));

interface Cap<Per, When> {
  most: number;
  per: Per;
  whenReached: When;
}

export const CAP_COLUMNS = [
  { name: 'most', label: 'Starts', type: 'number' },
  { name: 'per', label: 'Per', options: [['DAY', 'per day'], ['MONTH', 'per month']] },
  { name: 'whenReached', label: 'When reached', options: [['DEFER', 'then jobs wait'], ['REFUSE', 'then refuse new jobs']] },
] as const;

export const FRESH_CAP: Row = { most: '', per: 'DAY', whenReached: 'DEFER' };

export const rowsOfCaps = (caps: readonly Cap<string, string>[]): Row[] => caps.map(({ most, per, whenReached }) => ({ most: String(most), per, whenReached }));

export const capsOf = (rows: readonly Row[]) =>
  rows.map(({ most = '', per, whenReached }) => ({
    most: Number(most),
    per: per === 'MONTH' ? ('MONTH' as const) : ('DAY' as const),
    whenReached: whenReached === 'REFUSE' ? ('REFUSE' as const) : ('DEFER' as const),
  }));

/** An object of texts as rows, in order of name. */
export function rowsOfEnvironment(environment: unknown): Row[] {
  const pairs = Object.entries((environment ?? {}) as Record<string, string>);
  return pairs.sort(([a], [b]) => (a < b ? -1 : 1)).map(([name, value]) => ({ name, value: String(value) }));
}

export const environmentOf = (rows: readonly Row[]): Record<string, string> =>
  Object.fromEntries(rows.filter(({ name }) => name?.trim()).map(({ name = '', value = '' }) => [name.trim(), value]));
