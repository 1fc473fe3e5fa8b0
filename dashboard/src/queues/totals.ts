// Sums over all queues, for the tiles of the overview.
import type { Queue } from './documents';

const NONE = { blocked: 0, scheduled: 0, queued: 0, running: 0, succeeded: 0, failed: 0, cancelled: 0 };

export interface Totals {
  counts: typeof NONE;
  demand: number;
  /** When the job that has waited longest became ready. */
  oldestAt: string | null;
  /** The queue of that job. */
  oldestIn: string | null;
  /** When the last queue is estimated to be empty. Null when one of them does not get shorter. */
  emptyAt: string | null;
  /** Queues with ready jobs whose end cannot be estimated. */
  growing: string[];
}

export function totalsOf(queues: readonly Queue[]): Totals {
  const totals: Totals = { counts: { ...NONE }, demand: 0, oldestAt: null, oldestIn: null, emptyAt: null, growing: [] };
  for (const { name, counts, demand, oldestQueuedAt, emptyAt } of queues) {
    for (const state of Object.keys(NONE) as (keyof typeof NONE)[]) totals.counts[state] += counts[state];
    totals.demand += demand;
    if (oldestQueuedAt && (!totals.oldestAt || oldestQueuedAt < totals.oldestAt)) {
      totals.oldestAt = oldestQueuedAt;
      totals.oldestIn = name;
    }
    if (emptyAt && (!totals.emptyAt || emptyAt > totals.emptyAt)) totals.emptyAt = emptyAt;
    if (counts.queued > 0 && !emptyAt) totals.growing.push(name);
  }
  if (totals.growing.length > 0) totals.emptyAt = null;
  return totals;
}
