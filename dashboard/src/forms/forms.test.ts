import { expect, test } from 'vitest';
import { changesOf, differencesOf, inWords } from './edit';
import { isStale, mistakeAt, mistakeOfWhole } from './refusals';

const REFUSALS = [
  { code: 'INVALID', message: 'Too long.', path: ['input', 'name'] },
  { code: 'NOT_FOUND', message: 'No such proxy.', path: ['input', 'proxyIds', '0'] },
  { code: 'IN_USE', message: 'A job uses it.', path: ['input'] },
];

test('a reason stands at its field or the field above it, and else below the form', () => {
  expect(mistakeAt(REFUSALS, 'name')).toBe('Too long.');
  expect(mistakeAt(REFUSALS, 'proxyIds')).toBe('No such proxy.');
  expect(mistakeAt(REFUSALS, 'proxy')).toBe('');
  expect(mistakeOfWhole(REFUSALS, ['name', 'proxyIds'])).toBe('A job uses it.');
  expect(mistakeOfWhole(REFUSALS, [])).toBe('Too long. No such proxy. A job uses it.');
  expect(isStale(REFUSALS)).toBe(false);
});

test('only what was changed is sent', () => {
  expect(changesOf({ a: 'x', b: ['1'] }, { a: 'x', b: ['1', '2'] })).toEqual({ b: ['1', '2'] });
});

test('what somebody else has changed is listed with what the form would store', () => {
  const before = { name: 'a', labels: ['x'], note: '' };
  const now = { name: 'b', labels: [], note: '' };
  expect(differencesOf(before, now, { ...before, name: 'c', note: 'n' })).toEqual([
    { name: 'name', before: 'a', now: 'b', mine: 'c' },
    { name: 'labels', before: ['x'], now: [], mine: undefined },
  ]);
  expect([inWords(''), inWords([]), inWords(['a', 'b']), inWords([{ name: 'A', value: '1' }])]).toEqual(['nothing', 'nothing', 'a, b', 'A 1']);
});
