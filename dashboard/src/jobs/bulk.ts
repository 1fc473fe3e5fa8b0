// Cancelling and retrying many jobs: the dry run that counts them, and the act itself.
import { change } from '../api/ask';
import type { JobState } from '../graphql';
import { LIVE, STATES } from '../ui/State';
import { JobsCancel, JobsRetry, type JobFilter } from './documents';

export type Act = 'cancel' | 'retry';

export interface Outcome {
  affected: number;
  skipped: number;
  mistake: string | null;
}

/** The most that one mutation changes. */
export const MOST = 10_000;

/**
 * The filter of the act. One without any field is refused, because it is more likely a mistake, so
 * the states which the act can change stand in it. Succeeded jobs run again only when asked for.
 */
export function filterOfAct(act: Act, filter: JobFilter | null): JobFilter {
  const states: readonly JobState[] = act === 'cancel' ? LIVE : STATES.filter((state) => state === 'FAILED' || state === 'CANCELLED');
  return filter ?? { states: [...states] };
}

export async function run(act: Act, filter: JobFilter, isDryRun: boolean, reason: string): Promise<Outcome> {
  const said = reason.trim() === '' ? null : reason.trim();
  const reply =
    act === 'cancel'
      ? await change(JobsCancel, { input: { filter, isDryRun, reason: said } }).then(({ data, problem }) => ({ found: data?.jobsCancel, problem }))
      : await change(JobsRetry, { input: { filter, isDryRun } }).then(({ data, problem }) => ({ found: data?.jobsRetry, problem }));
  const { found, problem } = reply;
  const mistake = found?.userErrors[0]?.message ?? problem?.message ?? (found ? null : 'The server did not answer. Nothing is known of the outcome.');
  return { affected: found?.affectedCount ?? 0, skipped: found?.skippedCount ?? 0, mistake };
}
