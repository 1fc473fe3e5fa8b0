// Sums over workers, and what their states mean.
import type { Worker } from './documents';

/** The workers that take jobs, their slots, and how many of these are in use. */
export function slotsOf(workers: readonly Worker[]): { active: number; slots: number; inUse: number } {
  const active = workers.filter(({ status }) => status === 'ACTIVE');
  return {
    active: active.length,
    slots: active.reduce((sum, { concurrency }) => sum + concurrency, 0),
    inUse: active.reduce((sum, { running }) => sum + running, 0),
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
