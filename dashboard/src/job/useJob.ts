// A job and its events, kept current by the stream of its events.
import { useEffect, useRef, useState } from 'react';
import { useAsk, type Problem } from '../api/ask';
import { stream } from '../api/stream';
import { JobEvents, JobPageQuery, type JobEvent } from './documents';

/** How often the job is read again at most. */
const EVERY = 200;
/** The most events that are kept. */
const MOST = 2000;

/** Calls `act` at most every 200 ms, and once more after the last call. */
function useSeldom(act: () => Promise<void>): () => void {
  const timer = useRef<ReturnType<typeof setTimeout> | null>(null);
  const current = useRef(act);
  current.current = act;
  useEffect(() => () => void (timer.current && clearTimeout(timer.current)), []);
  return () => {
    timer.current ??= setTimeout(() => {
      timer.current = null;
      void current.current();
    }, EVERY);
  };
}

export function useJob(jobId: string) {
  const { data, problem, isLoading, again } = useAsk(JobPageQuery, { id: jobId });
  const [events, setEvents] = useState<readonly JobEvent[]>([]);
  const [ended, setEnded] = useState<Problem | null>(null);
  const readAgain = useSeldom(again);
  const after = useRef<string | null>(null);
  const job = data?.job ?? null;
  const isThere = job !== null;
  // The stream completes with the job. A job that is retried is followed again from its last event.
  const isLive = job ? job.finishedAt === null : false;
  useEffect(() => {
    after.current = null;
    setEvents([]);
  }, [jobId]);
  useEffect(() => {
    if (!isThere) return;
    let waiting: JobEvent[] = [];
    let frame = 0;
    const flush = () => {
      frame = 0;
      const come = waiting;
      waiting = [];
      setEvents((before) => [...before, ...come].slice(-MOST));
    };
    const end = stream(JobEvents, { jobId, after: after.current }, {
      next({ jobEvents: event }) {
        after.current = event.cursor;
        readAgain();
        if (event.kind === 'SNAPSHOT' || event.kind === 'RESET') return;
        waiting.push(event);
        frame ||= requestAnimationFrame(flush);
      },
      complete: readAgain,
      fail: setEnded,
    });
    return () => {
      end();
      cancelAnimationFrame(frame);
      if (waiting.length > 0) flush();
    };
    // `readAgain` always calls the newest.
  }, [jobId, isThere, isLive]);
  return { job, events, problem: problem ?? ended, isLoading, again };
}
