import { expect, test } from 'vitest';
import { instantOf } from './when';

test.each([
  ['2026-11-22T17:30', 'UTC', '2026-11-22T17:30:00.000Z'],
  ['2026-11-22T17:30', 'Europe/Berlin', '2026-11-22T16:30:00.000Z'],
  ['2026-07-01T00:10', 'America/New_York', '2026-07-01T04:10:00.000Z'],
  ['2026-03-29T03:30', 'Europe/Berlin', '2026-03-29T01:30:00.000Z'],
  ['2026-11-22T17:30', 'Asia/Kathmandu', '2026-11-22T11:45:00.000Z'],
])('%s in %s', (local, zone, wanted) => expect(instantOf(local, zone)).toBe(wanted));

test('what is no time is null', () => {
  for (const text of ['', '2026-11-22', 'x', '2026-13-40T00:00']) expect(instantOf(text, 'UTC')).toBeNull();
});
