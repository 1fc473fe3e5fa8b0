// One queue: its numbers, its history, and what may be changed.
import '../styles/overview.css';
import { getRouteApi, Link } from '@tanstack/react-router';
import { useEffect, useState } from 'react';
import { change, useAsk } from '../api/ask';
import { useEvery } from '../api/live';
import { playgroundUrl } from '../app/playground';
import { useCan } from '../app/session';
import { Icon } from '../ui/Icon';
import { Empty, Loading, ProblemBanner } from '../ui/parts';
import { STATES, wordOf } from '../ui/State';
import { tell } from '../ui/Toast';
import { Depth, Throughput, Waits } from './Charts';
import { QueueHistory, QueuePause, QueueResume, type Queue } from './documents';
import { SPANS, type Span } from './history';
import { LimitForm } from './LimitForm';
import { Count, EmptyAt, Oldest, Slots } from './Numbers';
import { SpanLinks } from './SpanLinks';
import { useQueues } from './useQueues';

const route = getRouteApi('/shell/queues/$name');

function PauseButton({ queue: { name, isPaused }, onDone }: { queue: Queue; onDone(): void }) {
  const mayPause = useCan('queuePause');
  const mayResume = useCan('queueResume');
  const [isBusy, setBusy] = useState(false);
  if (isPaused ? !mayResume : !mayPause) return null;
  const act = async () => {
    setBusy(true);
    const input = { name };
    const { found, problem } = isPaused
      ? await change(QueueResume, { input }).then(({ data, problem }) => ({ found: data?.queueResume, problem }))
      : await change(QueuePause, { input }).then(({ data, problem }) => ({ found: data?.queuePause, problem }));
    setBusy(false);
    const refused = found?.userErrors[0]?.message ?? problem?.message;
    tell(refused ?? (isPaused ? `${name} is resumed. Its jobs start again.` : `${name} is paused. Its running jobs go on, and no other starts.`));
    onDone();
  };
  return (
    <button type="button" disabled={isBusy} onClick={() => void act()}>
      <Icon name={isPaused ? 'play' : 'pause'} /> {isPaused ? 'Resume' : 'Pause'}
    </button>
  );
}

function Facts({ queue, onDone }: { queue: Queue; onDone(): void }) {
  const mayUpdate = useCan('queueUpdate');
  return (
    <div className="queue-top">
      <dl className="facts">
        {STATES.map((state) => (
          <div key={state}>
            <dt>{`${wordOf(state)}${['SUCCEEDED', 'FAILED', 'CANCELLED'].includes(state) ? ', 24 h' : ''}`}</dt>
            <dd>
              <Count value={queue.counts[state.toLowerCase() as 'queued']} state={state} queue={queue.name} />
            </dd>
          </div>
        ))}
        <div>
          <dt>Slots wanted</dt>
          <dd>
            <Slots demand={queue.demand} slots={queue.slots} />
          </dd>
        </div>
        <div>
          <dt>Oldest queued</dt>
          <dd>
            <Oldest at={queue.oldestQueuedAt} queue={queue.name} />
          </dd>
        </div>
        <div>
          <dt>Empty</dt>
          <dd>
            <EmptyAt queue={queue} />
          </dd>
        </div>
        <div>
          <dt>In the last full minute</dt>
          <dd>{`${queue.startedPerMinute.toLocaleString('en')} started, ${queue.finishedPerMinute.toLocaleString('en')} ended`}</dd>
        </div>
        {!mayUpdate && (
          <div>
            <dt>Most jobs that run at once</dt>
            <dd>{queue.maxConcurrency === null ? 'no limit' : queue.maxConcurrency.toLocaleString('en')}</dd>
          </div>
        )}
      </dl>
      {mayUpdate && <LimitForm queue={queue} onDone={onDone} />}
    </div>
  );
}

function History({ id, span }: { id: string; span: Span }) {
  const { window, step } = SPANS[span];
  const { data, problem, isLoading, again } = useAsk(QueueHistory, { id, window, step });
  useEvery(10, () => void again());
  const points = data?.node?.__typename === 'Queue' ? data.node.history : [];
  return (
    <>
      <div className="page-head">
        <h2>History</h2>
        <SpanLinks />
        <a className="push small" href={playgroundUrl(QueueHistory, { id, window, step })}>
          Show the query
        </a>
      </div>
      {problem && <ProblemBanner problem={problem} again={() => void again()} />}
      {isLoading && <Loading what="the history" lines={8} />}
      {points.length > 0 && (
        <div className="charts">
          <Throughput points={points} span={span} />
          <Depth points={points} span={span} />
          <Waits points={points} span={span} />
        </div>
      )}
    </>
  );
}

export function QueuePage() {
  const { name } = route.useParams();
  const { span = '1h' } = route.useSearch();
  const { value: queues, problem, isLoading, again } = useQueues();
  const queue = queues?.find((one) => one.name === name);
  const readAgain = () => void again();
  useEffect(() => {
    document.title = `${name} · Queues · Callboard`;
  }, [name]);
  return (
    <div className="page">
      <div className="page-head">
        <h1 className="job-title">
          <Link to="/queues">Queues</Link>
          <span className="soft"> / </span>
          {name}
        </h1>
        {queue?.isPaused && <span className="chip paused">Paused</span>}
        {queue && (
          <span className="push job-acts">
            <Link to="/jobs" search={{ queue: [name] }}>
              All its jobs
            </Link>
            <PauseButton queue={queue} onDone={readAgain} />
          </span>
        )}
      </div>
      {problem && <ProblemBanner problem={problem} again={readAgain} />}
      {isLoading && <Loading what="the queue" lines={8} />}
      {queues && !queue && (
        <Empty title="There is no such queue">
          <p>A queue is made with its first job.</p>
          <Link to="/queues">Open the queues</Link>
        </Empty>
      )}
      {queue && (
        <>
          {queue.slots === 0 && queue.counts.queued > 0 && (
            <p className="banner">
              <Icon name="warning" />
              <span>
                No active worker serves this queue, so its jobs wait. Start one with <code>{`CALLBOARD_QUEUES=${name}`}</code>.
              </span>
            </p>
          )}
          <Facts queue={queue} onDone={readAgain} />
          <History id={queue.id} span={span} />
        </>
      )}
    </div>
  );
}
