// The state of a job: a glyph of its own and a word, so that colour alone says nothing.
import type { JobState } from '../graphql';

export const STATES = ['QUEUED', 'SCHEDULED', 'BLOCKED', 'RUNNING', 'SUCCEEDED', 'FAILED', 'CANCELLED'] as const satisfies readonly JobState[];
export const LIVE: readonly JobState[] = ['QUEUED', 'SCHEDULED', 'BLOCKED', 'RUNNING'];

const RING = 'M8 14A6 6 0 1 0 8 2a6 6 0 0 0 0 12Z';
const GLYPHS: Record<JobState, string> = {
  QUEUED: `${RING}M5.2 8h.1M8 8h.1M10.7 8h.1`,
  SCHEDULED: `${RING}M8 4.8V8l2.2 1.4`,
  BLOCKED: 'M4 7.5h8v6H4zM5.7 7.5V5.3a2.3 2.3 0 0 1 4.6 0v2.2',
  RUNNING: `${RING}M6.7 5.6 10.4 8l-3.7 2.4V5.6Z`,
  SUCCEEDED: `${RING}M5.3 8.2l1.9 1.9 3.5-4`,
  FAILED: `${RING}M5.8 5.8l4.4 4.4M10.2 5.8l-4.4 4.4`,
  CANCELLED: `${RING}M4 4l8 8`,
};

export const wordOf = (state: JobState) => state.charAt(0) + state.slice(1).toLowerCase();

export function State({ state }: { state: JobState }) {
  return (
    <span className="state" data-state={state}>
      <svg className="icon" viewBox="0 0 16 16" width="16" height="16" aria-hidden="true">
        <path d={GLYPHS[state] ?? RING} />
      </svg>
      {wordOf(state)}
    </span>
  );
}

/** Which attempt runs or ran last. Attempts are counted when they end. */
export const attemptOf = ({ state, attemptCount }: { state: JobState; attemptCount: number }) =>
  state === 'RUNNING' ? attemptCount + 1 : attemptCount;
