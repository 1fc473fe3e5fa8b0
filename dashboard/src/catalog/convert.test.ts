import { expect, test } from 'vitest';
import { instantOf } from '../ui/time';
import { capsOf, environmentOf, limitsOf, listOf, numberOf, rowsOfCaps, rowsOfEnvironment, rowsOfLimits, textOrNull } from './convert';

test('forms hold text, and what is read is written again unchanged', () => {
  expect(listOf(' a, b ,,\nc')).toEqual(['a', 'b', 'c']);
  expect([numberOf(''), numberOf(' 4 '), textOrNull('  '), textOrNull(' x ')]).toEqual([null, 4, null, 'x']);
  const limits = [{ name: 'default', limit: 10, per: 'PT1M', burst: 2 }];
  expect(limitsOf(rowsOfLimits(limits))).toEqual(limits);
  const caps = [{ most: 5, per: 'MONTH' as const, whenReached: 'REFUSE' as const }];
  expect(capsOf(rowsOfCaps(caps))).toEqual(caps);
  expect(rowsOfEnvironment({ B: '2', A: '1' })).toEqual([{ name: 'A', value: '1' }, { name: 'B', value: '2' }]);
  expect(environmentOf([{ name: ' A ', value: '1' }, { name: '', value: 'x' }])).toEqual({ A: '1' });
});

test('a time of day is that of the chosen zone, also around a change of its clock', () => {
  expect(instantOf('2026-11-22T17:30', 'UTC')).toBe('2026-11-22T17:30:00.000Z');
  expect(instantOf('2026-11-22T17:30', 'Asia/Tokyo')).toBe('2026-11-22T08:30:00.000Z');
  expect(instantOf('2026-10-25T12:00', 'Europe/Berlin')).toBe('2026-10-25T11:00:00.000Z');
  expect(instantOf('2026-10-25T00:30', 'Europe/Berlin')).toBe('2026-10-24T22:30:00.000Z');
  expect(instantOf('', 'UTC')).toBe(null);
});
