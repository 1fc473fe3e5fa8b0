// The life of a job as segments that follow each other without a gap, from its acceptance to its
// end or to now.

export type SegmentKind = 'waiting' | 'queued' | 'run' | 'backoff' | 'throttled';

export interface Segment {
  kind: SegmentKind;
  from: number;
  to: number;
  /** The attempt that runs here, or for which the job waits. Null when there is none yet. */
  attempt: number | null;
  /** How the attempt of a run ended. Null while it runs, and for other segments. */
  outcome: string | null;
}

export interface AttemptTimes {
  number: number;
  queuedAt: string;
  startedAt: string;
  finishedAt: string | null;
  outcome: string | null;
}

export interface JobTimes {
  createdAt: string;
  finishedAt: string | null;
  state: string;
}

/** Why a job is not ready after an attempt. */
function pauseAfter(outcome: string | null): SegmentKind {
  if (outcome === 'THROTTLED') return 'throttled';
  return outcome === 'FAILED' || outcome === 'TIMED_OUT' ? 'backoff' : 'waiting';
}

/**
 * Clocks of several machines made these times, so each is moved up to the one before it where they
 * contradict each other: no segment is negative, and each begins where the last one ended. Segments
 * without a length are left out.
 */
export function segmentsOf(job: JobTimes, attempts: readonly AttemptTimes[], now: number): Segment[] {
  const segments: Segment[] = [];
  let at = Date.parse(job.createdAt);
  const add = (kind: SegmentKind, until: number, attempt: number | null, outcome: string | null = null) => {
    const to = Math.max(at, until);
    if (to > at) segments.push({ kind, from: at, to, attempt, outcome });
    at = to;
  };
  let pause: SegmentKind = 'waiting';
  for (const attempt of [...attempts].sort((one, other) => one.number - other.number)) {
    add(pause, Date.parse(attempt.queuedAt), attempt.number);
    add('queued', Date.parse(attempt.startedAt), attempt.number);
    add('run', attempt.finishedAt ? Date.parse(attempt.finishedAt) : now, attempt.number, attempt.outcome);
    pause = pauseAfter(attempt.outcome);
  }
  const isRunning = attempts.some(({ finishedAt }) => finishedAt === null);
  if (!isRunning) add(job.state === 'QUEUED' ? 'queued' : pause, job.finishedAt ? Date.parse(job.finishedAt) : now, null);
  return segments;
}
