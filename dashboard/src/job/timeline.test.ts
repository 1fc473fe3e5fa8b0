import { expect, test } from 'vitest';
import { segmentsOf, type AttemptTimes } from './timeline';

const BEGIN = Date.parse('2026-11-22T12:00:00.000Z');
const iso = (seconds: number) => new Date(BEGIN + seconds * 1000).toISOString();
const attempt = (number: number, queued: number, started: number, finished: number | null, outcome: string | null): AttemptTimes => ({
  number, queuedAt: iso(queued), startedAt: iso(started), finishedAt: finished === null ? null : iso(finished), outcome,
});
const short = (segments: ReturnType<typeof segmentsOf>) =>
  segments.map(({ kind, from, to, attempt: number }) => `${kind} ${(from - BEGIN) / 1000}-${(to - BEGIN) / 1000} ${number}`);

test('attempts, their waits and what lies between them are segments', () => {
  const job = { createdAt: iso(0), finishedAt: iso(60), state: 'SUCCEEDED' };
  const attempts = [attempt(1, 5, 7, 10, 'FAILED'), attempt(2, 20, 21, 30, 'THROTTLED'), attempt(3, 50, 51, 60, 'SUCCEEDED')];
  expect(short(segmentsOf(job, attempts, BEGIN + 99_000))).toEqual([
    'waiting 0-5 1', 'queued 5-7 1', 'run 7-10 1', 'backoff 10-20 2', 'queued 20-21 2', 'run 21-30 2', 'throttled 30-50 3', 'queued 50-51 3', 'run 51-60 3',
  ]);
});

test('a job that has not ended reaches to now', () => {
  const now = BEGIN + 40_000;
  const job = { createdAt: iso(0), finishedAt: null, state: 'QUEUED' };
  expect(short(segmentsOf(job, [], now))).toEqual(['queued 0-40 null']);
  expect(short(segmentsOf({ ...job, state: 'RUNNING' }, [attempt(1, 0, 1, null, null)], now))).toEqual(['queued 0-1 1', 'run 1-40 1']);
  expect(short(segmentsOf({ ...job, state: 'SCHEDULED' }, [attempt(1, 0, 1, 2, 'FAILED')], now))).toEqual([
    'queued 0-1 1', 'run 1-2 1', 'backoff 2-40 null',
  ]);
});

/** Random numbers that are the same in every run. */
function randoms(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 1_664_525 + 1_013_904_223) % 4_294_967_296;
    return state / 4_294_967_296;
  };
}

test('whatever the clocks say, segments are contiguous and never negative', () => {
  const outcomes = ['FAILED', 'THROTTLED', 'LOST', 'RELEASED', 'TIMED_OUT', 'SUCCEEDED', null];
  for (let seed = 1; seed <= 2000; seed += 1) {
    const random = randoms(seed);
    const time = () => Math.floor(random() * 200) - 50;
    const attempts = Array.from({ length: Math.floor(random() * 6) }, (_, i) =>
      attempt(i + 1, time(), time(), random() < 0.2 ? null : time(), outcomes[Math.floor(random() * outcomes.length)]!),
    );
    const job = { createdAt: iso(time()), finishedAt: random() < 0.5 ? null : iso(time()), state: 'RUNNING' };
    const segments = segmentsOf(job, attempts, BEGIN + time() * 1000);
    segments.forEach((segment, i) => {
      expect(segment.to).toBeGreaterThan(segment.from);
      expect(segment.from).toBe(i === 0 ? Date.parse(job.createdAt) : segments[i - 1]!.to);
    });
  }
});
