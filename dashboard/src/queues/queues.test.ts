import { expect, test } from 'vitest';
import type { Queue } from './documents';
import { inWords, secondsOf, sumOf, validSpan, type Step } from './history';
import { limitOf } from './limit';
import { totalsOf } from './totals';

const step = (at: string, enqueued: number, queuedDepth = 0): Step => ({
  at, enqueued, succeeded: 1, failed: 0, cancelled: 0, queuedDepth,
});

const queue = (name: string, queued: number, rest: Partial<Queue> = {}): Queue => ({
  id: `queue_${name}`,
  name,
  isPaused: false,
  maxConcurrency: null,
  demand: queued,
  slots: 4,
  oldestQueuedAt: null,
  emptyAt: null,
  startedPerMinute: 0,
  finishedPerMinute: 0,
  counts: { blocked: 0, scheduled: 0, queued, running: 1, succeeded: 2, failed: 3, cancelled: 0 },
  ...rest,
});

test('steps of several queues are added by their start', () => {
  const first = step('2026-11-22T10:00:00.000Z', 2, 5);
  const sums = sumOf([[first, step('2026-11-22T10:01:00.000Z', 3)], [step('2026-11-22T10:01:00.000Z', 4, 7)]]);
  expect(sums.map(({ at, enqueued, queuedDepth }) => [at.slice(14, 16), enqueued, queuedDepth])).toEqual([['00', 2, 5], ['01', 7, 7]]);
  expect(first.enqueued).toBe(2);
  expect(sumOf([])).toEqual([]);
  expect(inWords(sums, '1 hour')).toBe('In the last 1 hour: 9 enqueued, 3 succeeded, 0 failed.');
});

test('a wait is in seconds, and none is not zero', () => {
  expect([secondsOf('PT0.25S'), secondsOf('PT1M'), secondsOf(null)]).toEqual([0.25, 60, null]);
});

test('only known spans are taken from an address', () => {
  expect([validSpan({ span: '7d' }), validSpan({ span: '1h' }), validSpan({ span: 'toString' }), validSpan({})]).toEqual([{ span: '7d' }, {}, {}, {}]);
});

test('a limit is a whole number, or nothing for none', () => {
  expect([' 12 ', '1,000,000', '', '0', '1000001', '-1', '1.5', 'many'].map(limitOf)).toEqual([12, 1_000_000, null, undefined, undefined, undefined, undefined, undefined]);
});

test('totals name the oldest queue, and have no estimate when one queue has none', () => {
  const early = '2026-11-22T10:00:00.000Z';
  const late = '2026-11-22T11:00:00.000Z';
  const both = [queue('a', 2, { oldestQueuedAt: late, emptyAt: late }), queue('b', 3, { oldestQueuedAt: early, emptyAt: early })];
  expect(totalsOf(both)).toMatchObject({ demand: 5, oldestAt: early, oldestIn: 'b', emptyAt: late, growing: [] });
  expect(totalsOf(both).counts).toMatchObject({ queued: 5, running: 2, failed: 6 });
  expect(totalsOf([...both, queue('c', 1)])).toMatchObject({ emptyAt: null, growing: ['c'] });
  expect(totalsOf([queue('d', 0)])).toMatchObject({ emptyAt: null, growing: [], oldestIn: null });
});
