// The attempts of a job: one bar for its whole life, and what is known of each attempt.
import { useNow, Time, Took } from '../ui/Time';
import { lengthOf, millisecondsOf } from '../ui/time';
import { wordOf } from '../ui/State';
import type { Attempt, JobOfPage } from './documents';
import { segmentsOf, type Segment, type SegmentKind } from './timeline';

const WORDS: Record<SegmentKind, string> = {
  waiting: 'Waiting',
  queued: 'Queued',
  run: 'Run',
  backoff: 'Backoff',
  throttled: 'Throttled',
};

const outcomeOf = (outcome: string | null) => (outcome ? wordOf(outcome.replace('_', ' ') as 'FAILED') : 'Running');

const describe = ({ kind, from, to, attempt, outcome }: Segment) =>
  [WORDS[kind], attempt && `attempt ${attempt}`, kind === 'run' && outcomeOf(outcome), lengthOf(to - from)].filter(Boolean).join(', ');

function memory(bytes: string): string {
  const mebi = Number(bytes) / 1_048_576;
  return mebi >= 1024 ? `${(mebi / 1024).toFixed(1)} GiB` : `${mebi.toFixed(mebi < 10 ? 1 : 0)} MiB`;
}

function AttemptRow({ attempt }: { attempt: Attempt }) {
  const ending = attempt.signal ?? (attempt.exitCode === null ? null : `exit ${attempt.exitCode}`);
  return (
    <tr>
      <th scope="row">{attempt.number}</th>
      <td data-outcome={attempt.outcome ?? 'RUNNING'}>
        {outcomeOf(attempt.outcome)}
        {ending && <span className="soft">{` · ${ending}`}</span>}
        {attempt.failure && (
          <p className="attempt-failure">
            <b className="code">{attempt.failure.code}</b> {attempt.failure.message}
          </p>
        )}
      </td>
      <td>
        <Time at={attempt.startedAt} />
      </td>
      <td>
        <Took from={attempt.startedAt} to={attempt.finishedAt} />
      </td>
      <td>{attempt.worker?.hostname ?? <span className="soft">pruned</span>}</td>
      <td>{attempt.proxy?.name ?? <span className="soft">direct</span>}</td>
      <td>{attempt.peakMemoryBytes ? memory(attempt.peakMemoryBytes) : <span className="soft">unknown</span>}</td>
      <td>{attempt.cpuTime ? lengthOf(millisecondsOf(attempt.cpuTime)) : <span className="soft">unknown</span>}</td>
    </tr>
  );
}

export function Timeline({ job }: { job: JobOfPage }) {
  const now = useNow();
  const attempts = job.attempts.nodes;
  const segments = segmentsOf(job, attempts, now);
  const kinds = [...new Set(segments.map(({ kind }) => kind))];
  return (
    <section className="stack" aria-label="Timeline">
      <div className="timeline" role="list" aria-label="Segments">
        {segments.map((segment) => (
          <span
            key={segment.from}
            role="listitem"
            className="segment"
            data-kind={segment.kind}
            data-outcome={segment.outcome ?? undefined}
            style={{ flexGrow: segment.to - segment.from }}
            title={describe(segment)}
          >
            <span className="hidden">{describe(segment)}</span>
            {segment.kind === 'run' && <span className="segment-number" aria-hidden="true">{segment.attempt}</span>}
          </span>
        ))}
      </div>
      <p className="legend">
        {kinds.map((kind) => (
          <span key={kind}>
            <span className="segment" data-kind={kind} data-outcome={segments.findLast((one) => one.kind === kind)?.outcome ?? undefined} aria-hidden="true" />
            {`${WORDS[kind]} ${lengthOf(segments.filter((one) => one.kind === kind).reduce((sum, { from, to }) => sum + to - from, 0))}`}
          </span>
        ))}
      </p>
      {attempts.length === 0 ? (
        <p className="soft">No attempt has started yet.</p>
      ) : (
        <div className="scroll" tabIndex={0} role="region" aria-label="Attempts">
          <table className="plain">
            <thead>
              <tr>
                {['Attempt', 'Outcome', 'Started', 'Took', 'Worker', 'Exit', 'Memory', 'CPU'].map((name) => (
                  <th key={name} scope="col">
                    {name}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {[...attempts].reverse().map((attempt) => (
                <AttemptRow key={attempt.id} attempt={attempt} />
              ))}
            </tbody>
          </table>
        </div>
      )}
      {job.attempts.pageInfo.hasPreviousPage && <p className="soft">The newest 100 attempts are shown.</p>}
    </section>
  );
}
