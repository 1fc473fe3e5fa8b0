import { expect, test } from 'vitest';
import { ageOf, dateTime, fineTime, lengthOf, millisecondsOf } from './time';

test('lengths have at most two units and are never negative', () => {
  expect([-5, 0, 0.4, 12, 420, 1_420, 9_960, 12_300, 185_000, 7_800_000, 356_400_000].map(lengthOf)).toEqual([
    '0 s', '0 s', '0 s', '12 ms', '420 ms', '1.4 s', '10 s', '12 s', '3 min 5 s', '2 h 10 min', '4 d 3 h',
  ]);
  expect([-1, 59_999, 60_000, 7_200_000, 172_800_000].map(ageOf)).toEqual(['0 s', '59 s', '1 min', '2 h', '2 d']);
});

test('durations of the API are read', () => {
  expect(['PT0.25S', 'PT5M', 'P1DT2H', 'nonsense'].map(millisecondsOf)).toEqual([250, 300_000, 93_600_000, 0]);
});

test('a time is written in the chosen zone', () => {
  const at = '2026-11-22T17:31:10.123Z';
  expect(dateTime(at, 'UTC')).toBe('2026-11-22 17:31:10');
  expect(dateTime(at, 'Asia/Tokyo')).toBe('2026-11-23 02:31:10');
  expect(fineTime(at, 'UTC')).toBe('17:31:10.123');
});
