// Numbers of queues, each a link to the jobs that it counts.
import { Link } from '@tanstack/react-router';
import type { JobState } from '../graphql';
import { Age, Countdown } from '../ui/Time';
import type { Queue } from './documents';

interface CountProps {
  value: number;
  state: JobState;
  queue?: string;
}

const ENDED: readonly JobState[] = ['SUCCEEDED', 'FAILED', 'CANCELLED'];

/** Ended jobs are listed with the last ended first, because the numbers count those of a day. */
export function Count({ value, state, queue }: CountProps) {
  const search = { state: [state], ...(queue ? { queue: [queue] } : {}), ...(ENDED.includes(state) ? { order: 'finished' as const } : {}) };
  const what = `${state.toLowerCase()} jobs${queue ? ` of ${queue}` : ''}`;
  return (
    <Link to="/jobs" search={search} className="number" data-zero={value === 0 || undefined} aria-label={`${value.toLocaleString('en')} ${what}`}>
      {value.toLocaleString('en')}
    </Link>
  );
}

export function Oldest({ at, queue }: { at: string | null; queue?: string | null }) {
  if (!at) return <span className="soft" title="Jobs that wait at a limit do not count.">none ready</span>;
  return (
    <Link to="/jobs" search={{ state: ['QUEUED'], ...(queue ? { queue: [queue] } : {}), order: 'oldest' }} className="number">
      <Age at={at} />
    </Link>
  );
}

export function EmptyAt({ queue: { counts, emptyAt } }: { queue: Pick<Queue, 'counts' | 'emptyAt'> }) {
  if (counts.queued === 0) return <span className="soft">empty</span>;
  return emptyAt ? <Countdown until={emptyAt} /> : <span className="soft" title="The queued jobs did not get fewer in the last five minutes.">no estimate</span>;
}

/** How many slots its jobs could use, and how many there are. */
export function Slots({ demand, slots }: { demand: number; slots: number }) {
  return (
    <Link
      to="/workers"
      className="number"
      data-short={demand > slots || undefined}
      title={demand > slots ? 'Its jobs could use more slots than its workers have.' : 'Its workers have enough slots.'}
    >
      {`${demand.toLocaleString('en')} of ${slots.toLocaleString('en')}`}
    </Link>
  );
}
