import { expect, test } from 'vitest';
import { leftOf, withBurst, pressureOf, usageInWords, type Usage } from './limits';

const usage = (rest: Partial<Usage>): Usage => ({ name: 'day', limit: 10, remaining: 4, resetsAt: null, source: 'DECLARED', ...rest });

test('what is left is a fraction, unless a part of it is not known', () => {
  expect([usage({}), usage({ remaining: 12 }), usage({ limit: null }), usage({ remaining: null })].map(leftOf)).toEqual([0.4, 1, null, null]);
});

test('a limit presses when a tenth or nothing is left', () => {
  expect([usage({}), usage({ remaining: 1 }), usage({ remaining: 0 }), usage({ limit: null, remaining: 0 })].map(pressureOf)).toEqual([
    'enough', 'low', 'empty', 'empty',
  ]);
});

test('a declared rate limit is full with its burst', () => {
  const full = withBurst(usage({ name: 'default', limit: 60, remaining: 2 }), [{ name: 'default', burst: 2 }]);
  expect([leftOf(full), pressureOf(full), usageInWords(full, 0)]).toEqual([1, 'enough', '2 of 2 at once, 60 in its period']);
  expect(withBurst(usage({ source: 'OBSERVED' }), [{ name: 'day', burst: 2 }]).burst).toBe(undefined);
});

test('a limit is said in words', () => {
  const now = Date.parse('2026-11-22T10:00:00.000Z');
  expect(usageInWords(usage({ resetsAt: '2026-11-22T10:05:00.000Z' }), now)).toBe('4 of 10 left, full in 5 min');
  expect(usageInWords(usage({ limit: null, remaining: 2147483647 }), now)).toBe('2,147,483,647+ left');
  expect(usageInWords(usage({ remaining: null, resetsAt: '2026-11-22T09:00:00.000Z' }), now)).toBe('not known');
});
