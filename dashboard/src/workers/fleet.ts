// Sums over workers, and what their states mean.
import type { Worker } from './documents';

/** Slots of the workers that take jobs, and how many jobs run on all workers. */
export function slotsOf(workers: readonly Worker[]): { slots: number; running: number; active: number } {
  const active = workers.filter(({ status }) => status === 'ACTIVE');
  return {
    active: active.length,
    slots: active.reduce((sum, { concurrency }) => sum + concurrency, 0),
    running: workers.reduce((sum, { running }) => sum + running, 0),
  };
}

const MEANINGS: Record<string, string> = {
  ACTIVE: 'Takes jobs.',
  DRAINING: 'Takes no new jobs and exits when its running jobs have finished.',
  GONE: 'Has exited in an orderly way.',
  LOST: 'Its lease has expired, and its jobs were given to other workers.',
};

/** What a state means. New states may be added. */
export const meaningOf = (status: string) => MEANINGS[status] ?? '';

/** A worker whose heartbeat is older is shown as late. A lease is renewed about every second. */
export const LATE_AFTER = 15_000;
