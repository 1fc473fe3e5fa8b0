import { getRouteApi, Link } from '@tanstack/react-router';
import { lazy, Suspense, useEffect, useState } from 'react';
import { change } from '../api/ask';
import { playgroundUrl } from '../app/playground';
import { useCan } from '../app/session';
import { Icon } from '../ui/Icon';
import { useKeys } from '../ui/keys';
import { Empty, Loading, ProblemBanner, Progress } from '../ui/parts';
import { attemptOf, State, wordOf } from '../ui/State';
import { Took } from '../ui/Time';
import { tell } from '../ui/Toast';
import { CancelDialog } from './CancelDialog';
import { Composed } from './Composed';
import { JobPageQuery, JobRetry, type JobEvent, type JobOfPage } from './documents';
import { Events } from './Events';
import { Facts } from './Facts';
import { Files } from './Files';
import { Result } from './Result';
import { TABS, type Tab } from './search';
import { Timeline } from './Timeline';
import { useJob } from './useJob';
import { WaitingCard } from './WaitingCard';

const route = getRouteApi('/shell/jobs/$jobId');
const LogView = lazy(() => import('../log/LogView').then(({ LogView }) => ({ default: LogView })));

async function retry(id: string): Promise<void> {
  const { data, problem } = await change(JobRetry, { input: { id } });
  tell(data?.jobRetry.userErrors[0]?.message ?? problem?.message ?? 'The job runs again under the same id.');
}

function Header({ job }: { job: JobOfPage }) {
  const mayCancel = useCan('jobCancel');
  const mayRetry = useCan('jobRetry');
  const [isAsking, setAsking] = useState(false);
  const isFinished = job.finishedAt !== null;
  const canCancel = mayCancel && !isFinished;
  const canRetry = mayRetry && isFinished;
  useKeys({
    r: () => canRetry && void retry(job.id),
    '.': () => canCancel && setAsking(true),
  });
  return (
    <>
      <div className="page-head">
        <h1 className="job-title">
          <Link to="/jobs">Jobs</Link>
          <span className="soft"> / </span>
          {job.command?.name ?? 'deleted command'}
        </h1>
        <State state={job.state} />
        {job.startedAt && (
          <span className="soft">
            {isFinished ? 'took ' : 'for '}
            <Took from={job.startedAt} to={job.finishedAt} />
          </span>
        )}
        <span className="soft">{attemptOf(job) > 0 && `attempt ${attemptOf(job)} of ${job.policy.maxAttempts}`}</span>
        <span className="push job-acts">
          <a className="small" href={playgroundUrl(JobPageQuery, { id: job.id })}>
            Show the query
          </a>
          {canRetry && (
            <button type="button" onClick={() => void retry(job.id)}>
              <Icon name="retry" /> Retry
            </button>
          )}
          {canCancel && (
            <button type="button" onClick={() => setAsking(true)}>
              <Icon name="stop" /> Cancel
            </button>
          )}
        </span>
      </div>
      <p className="mono soft job-id">{job.id}</p>
      {job.waiting && <WaitingCard waiting={job.waiting} />}
      {job.state === 'RUNNING' && job.progress && <Progress fraction={job.progress.fraction} message={job.progress.message} />}
      {job.failure && (
        <p className="job-failure">
          <b className="code">{job.failure.code}</b> {job.failure.message.slice(0, 400)}
        </p>
      )}
      {isAsking && canCancel && <CancelDialog id={job.id} isRunning={job.state === 'RUNNING'} onClose={() => setAsking(false)} />}
    </>
  );
}

function TabPanel({ tab, job, events }: { tab: Tab; job: JobOfPage; events: readonly JobEvent[] }) {
  switch (tab) {
    case 'timeline':
      return (
        <>
          <Facts job={job} />
          <Timeline job={job} />
        </>
      );
    case 'log':
      // A job that was retried goes on with its log, which a finished one no longer follows.
      return <LogView key={`${job.id} ${job.finishedAt === null}`} jobId={job.id} />;
    case 'result':
      return <Result job={job} />;
    case 'files':
      return <Files id={job.id} version={job.version} />;
    case 'composed':
      return <Composed id={job.id} />;
    case 'events':
      return <Events events={events} />;
  }
}

export function JobPage() {
  const { jobId } = route.useParams();
  const { tab = 'timeline' } = route.useSearch();
  const { job, events, problem, isLoading, again } = useJob(jobId);
  const name = job?.command?.name ?? 'Job';
  useEffect(() => {
    document.title = `${name} · Callboard`;
  }, [name]);
  if (isLoading) return <Loading what="the job" lines={10} />;
  return (
    <div className="page full job">
      {problem && <ProblemBanner problem={problem} again={() => void again()} />}
      {!job && !problem && (
        <Empty title="There is no such job">
          <p>It may have been pruned, or the address is not whole.</p>
          <Link to="/jobs">Open the jobs</Link>
        </Empty>
      )}
      {job && (
        <>
          <Header job={job} />
          <nav className="tabs" aria-label="Of this job">
            {TABS.map((one) => (
              <Link
                key={one}
                to="/jobs/$jobId"
                params={{ jobId }}
                search={one === 'timeline' ? {} : { tab: one }}
                className="tab"
                activeOptions={{ exact: true, includeSearch: true }}
              >
                {wordOf(one.toUpperCase() as 'FAILED')}
              </Link>
            ))}
          </nav>
          <Suspense fallback={<Loading what="the page" />}>
            <TabPanel tab={tab} job={job} events={events} />
          </Suspense>
        </>
      )}
    </div>
  );
}
