// The state of everything at a glance. Every number leads to what it counts.
import '../styles/overview.css';
import { getRouteApi, Link } from '@tanstack/react-router';
import { useEffect, useMemo, type ReactNode } from 'react';
import { useEvery } from '../api/live';
import { useAsk } from '../api/ask';
import { playgroundUrl } from '../app/playground';
import { Depth, Throughput } from '../queues/Charts';
import { HistoryOfAll, QueueStats, type Queue } from '../queues/documents';
import { SPANS, sumOf, type Span } from '../queues/history';
import { Count, EmptyAt, Oldest } from '../queues/Numbers';
import { QueuesTable } from '../queues/QueuesTable';
import { SpanLinks } from '../queues/SpanLinks';
import { totalsOf } from '../queues/totals';
import { useQueues } from '../queues/useQueues';
import { Empty, Loading, ProblemBanner } from '../ui/parts';
import type { Worker } from '../workers/documents';
import { slotsOf } from '../workers/fleet';
import { useWorkers } from '../workers/useWorkers';
import { WorkerStrip } from './WorkerStrip';

const route = getRouteApi('/shell/');
/** More queues than this have a page of their own. */
const FEW = 8;

function Tile({ name, note, children }: { name: string; note?: string; children: ReactNode }) {
  return (
    <div className="tile">
      <dt>{name}</dt>
      <dd>
        <span className="tile-value">{children}</span>
        {note && <span className="soft small tile-note">{note}</span>}
      </dd>
    </div>
  );
}

function Tiles({ queues, workers }: { queues: readonly Queue[]; workers: readonly Worker[] | null }) {
  const { counts, demand, oldestAt, oldestIn, emptyAt, growing } = totalsOf(queues);
  const fleet = workers && slotsOf(workers);
  return (
    <dl className="tiles">
      <Tile name="Queued">
        <Count value={counts.queued} state="QUEUED" />
      </Tile>
      <Tile name="Running">
        <Count value={counts.running} state="RUNNING" />
      </Tile>
      <Tile name="Scheduled">
        <Count value={counts.scheduled} state="SCHEDULED" />
      </Tile>
      <Tile name="Blocked">
        <Count value={counts.blocked} state="BLOCKED" />
      </Tile>
      <Tile name="Failed" note="in 24 hours">
        <Count value={counts.failed} state="FAILED" />
      </Tile>
      <Tile name="Cancelled" note="in 24 hours">
        <Count value={counts.cancelled} state="CANCELLED" />
      </Tile>
      <Tile name="Succeeded" note="in 24 hours">
        <Count value={counts.succeeded} state="SUCCEEDED" />
      </Tile>
      <Tile name="Slots wanted" note={fleet ? `of ${fleet.slots.toLocaleString('en')}` : ''}>
        <Link to="/workers" className="number" data-short={(fleet && demand > fleet.slots) || undefined}>
          {demand.toLocaleString('en')}
        </Link>
      </Tile>
      <Tile name="Oldest queued" note={oldestIn ? `in ${oldestIn}` : ''}>
        <Oldest at={oldestAt} queue={oldestIn} />
      </Tile>
      <Tile name="Empty" note={growing.length > 0 ? `for ${growing.length === 1 ? growing[0] : `${growing.length} queues`}` : ''}>
        <EmptyAt queue={{ counts, emptyAt }} />
      </Tile>
    </dl>
  );
}

function Charts({ span }: { span: Span }) {
  const { window, step } = SPANS[span];
  const { data, problem, isLoading, again } = useAsk(HistoryOfAll, { window, step });
  // The histories of many queues are long.
  useEvery((data?.queues.length ?? 0) > FEW ? 60 : 10, () => void again());
  const points = useMemo(() => sumOf((data?.queues ?? []).map(({ history }) => history)), [data]);
  return (
    <>
      <div className="page-head">
        <h2>History</h2>
        <SpanLinks />
      </div>
      {problem && <ProblemBanner problem={problem} again={() => void again()} />}
      {isLoading && <Loading what="the history" lines={8} />}
      {points.length > 0 && (
        <div className="charts">
          <Throughput points={points} span={span} />
          <Depth points={points} span={span} />
        </div>
      )}
    </>
  );
}

export function OverviewPage() {
  const { span = '1h' } = route.useSearch();
  const { value: queues, problem, isLoading, again } = useQueues();
  const fleet = useWorkers();
  useEffect(() => {
    document.title = 'Overview · Callboard';
  }, []);
  const trouble = problem ?? fleet.problem;
  return (
    <div className="page">
      <div className="page-head">
        <h1>Overview</h1>
        <a className="push small" href={playgroundUrl(QueueStats, {})}>
          Show the query
        </a>
      </div>
      {trouble && <ProblemBanner problem={trouble} again={() => (void again(), void fleet.again())} />}
      {isLoading && <Loading what="the queues" lines={4} />}
      {queues?.length === 0 && (
        <Empty title="There are no queues yet">
          <p>
            A queue is made with its first job. Enqueue one with <code>jobEnqueue</code>, for example in the <a href="/playground">playground</a>.
          </p>
        </Empty>
      )}
      {queues && queues.length > 0 && (
        <>
          <Tiles queues={queues} workers={fleet.value} />
          <Charts span={span} />
          <div className="page-head">
            <h2>Queues</h2>
            {queues.length > FEW && <Link to="/queues">{`All ${queues.length} queues`}</Link>}
          </div>
          <QueuesTable queues={[...queues].sort((a, b) => b.counts.queued - a.counts.queued).slice(0, FEW)} label="Queues" />
        </>
      )}
      {fleet.value && <WorkerStrip workers={fleet.value} />}
    </div>
  );
}
