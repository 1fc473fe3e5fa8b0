import { expect, test } from 'vitest';
import type { Worker } from './documents';
import { meaningOf, slotsOf } from './fleet';

const worker = (status: Worker['status'], running: number): Worker => ({
  id: 'worker_1',
  hostname: 'host',
  processId: 1,
  status,
  concurrency: 4,
  running,
  queues: ['default'],
  kinds: ['HTTP'],
  softwareVersion: '0.1.0',
  startedAt: '2026-11-22T10:00:00.000Z',
  heartbeatAt: '2026-11-22T10:00:00.000Z',
});

test('only active workers have slots', () => {
  expect(slotsOf([worker('ACTIVE', 3), worker('DRAINING', 2), worker('LOST', 0)])).toEqual({ active: 1, slots: 4, inUse: 3 });
  expect(slotsOf([])).toEqual({ active: 0, slots: 0, inUse: 0 });
});

test('a state that is not known has no meaning', () => {
  expect(meaningOf('LOST')).toMatch(/lease/);
  expect(meaningOf('NEW')).toBe('');
});
