import { useEffect } from 'react';
import { useAsk } from '../api/ask';
import { Loading, ProblemBanner } from '../ui/parts';
import { JobResult, type JobOfPage } from './documents';

const pretty = (value: unknown) => JSON.stringify(value, null, 2);

export function Result({ job }: { job: JobOfPage }) {
  const { data, problem, isLoading, again } = useAsk(JobResult, { id: job.id });
  useEffect(() => void again(), [again, job.state]);
  if (isLoading) return <Loading what="the result" />;
  return (
    <section className="stack" aria-label="Result">
      {problem && <ProblemBanner problem={problem} again={() => void again()} />}
      {job.failure && (
        <div className="failure">
          <b className="code">{job.failure.code}</b>
          <pre>{job.failure.message}</pre>
          <p className="soft">{job.failure.isRetryable ? 'Another attempt may succeed.' : 'Another attempt would fail in the same way.'}</p>
        </div>
      )}
      <h2>Result</h2>
      {data?.job?.result == null ? (
        <p className="soft">{job.finishedAt ? 'The job returned none.' : 'There is none before the job has succeeded.'}</p>
      ) : (
        <pre className="block" tabIndex={0} aria-label="Result">
          {pretty(data.job.result)}
        </pre>
      )}
      <h2>Input</h2>
      <pre className="block" tabIndex={0} aria-label="Input">
        {pretty(data?.job?.input ?? {})}
      </pre>
    </section>
  );
}
