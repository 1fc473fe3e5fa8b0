// The processes that run jobs.
import '../styles/overview.css';
import { Link } from '@tanstack/react-router';
import { useEffect, useState } from 'react';
import { playgroundUrl } from '../app/playground';
import { useCan } from '../app/session';
import { Icon } from '../ui/Icon';
import { Empty, Loading, ProblemBanner } from '../ui/parts';
import { Age, Took, useNow } from '../ui/Time';
import { Workers, type Worker } from './documents';
import { DrainDialog } from './DrainDialog';
import { LATE_AFTER, meaningOf, slotsOf } from './fleet';
import { SlotBar, Status } from './parts';
import { useWorkers } from './useWorkers';

const COLUMNS = ['Worker', 'Status', 'Slots in use', 'Queues', 'Runs', 'Heartbeat', 'Up for', 'Version'];

function Heartbeat({ worker: { heartbeatAt, status } }: { worker: Worker }) {
  const age = useNow() - Date.parse(heartbeatAt);
  const isLate = (status === 'ACTIVE' || status === 'DRAINING') && age > LATE_AFTER;
  return (
    <span className="heartbeat" data-late={isLate || undefined}>
      {isLate && <Icon name="warning" />}
      <Age at={heartbeatAt} /> ago
    </span>
  );
}

function Row({ worker, onDrain }: { worker: Worker; onDrain: (() => void) | undefined }) {
  const { id, hostname, processId, status, running, concurrency, queues, kinds, startedAt, softwareVersion } = worker;
  const isOver = status === 'LOST' || status === 'GONE';
  return (
    <tr>
      <th scope="row" title={`${id}, process ${processId}`}>
        {hostname} <span className="mono soft">{id.slice(-6)}</span>
      </th>
      <td title={meaningOf(status)}>
        <Status status={status} />
      </td>
      <td>
        <SlotBar running={running} concurrency={concurrency} />
      </td>
      <td>
        {queues.map((name, index) => (
          <span key={name}>
            {index > 0 && ', '}
            <Link to="/queues/$name" params={{ name }}>
              {name}
            </Link>
          </span>
        ))}
      </td>
      <td>{kinds.map((kind) => kind.toLowerCase()).sort().join(', ')}</td>
      <td>
        <Heartbeat worker={worker} />
      </td>
      <td>
        <Took from={startedAt} to={isOver ? worker.heartbeatAt : null} />
      </td>
      <td>{softwareVersion}</td>
      {onDrain && (
        <td>
          {status === 'ACTIVE' && (
            <button type="button" aria-label={`Drain ${hostname} ${id.slice(-6)}`} onClick={onDrain}>
              <Icon name="down" /> Drain
            </button>
          )}
        </td>
      )}
    </tr>
  );
}

export function WorkersPage() {
  const { value: workers, problem, isLoading, again } = useWorkers();
  const mayDrain = useCan('workerDrain');
  const [draining, setDraining] = useState<Worker | null>(null);
  useEffect(() => {
    document.title = 'Workers · Callboard';
  }, []);
  const fleet = workers && slotsOf(workers);
  return (
    <div className="page">
      <div className="page-head">
        <h1>Workers</h1>
        <span className="soft">
          {fleet && workers.length > 0 && `${fleet.active} active, ${fleet.inUse.toLocaleString('en')} of ${fleet.slots.toLocaleString('en')} slots in use`}
        </span>
        <a className="push small" href={playgroundUrl(Workers, {})}>
          Show the query
        </a>
      </div>
      {problem && <ProblemBanner problem={problem} again={() => void again()} />}
      {isLoading && <Loading what="the workers" />}
      {workers?.length === 0 && (
        <Empty title="No worker runs">
          <p>
            Jobs wait until one does. Start it with <code>callboard-worker run</code>.
          </p>
        </Empty>
      )}
      {workers && workers.length > 0 && (
        <div className="scroll" tabIndex={0} role="region" aria-label="Workers">
          <table className="plain numbers">
            <thead>
              <tr>
                {COLUMNS.map((name) => (
                  <th key={name} scope="col">
                    {name}
                  </th>
                ))}
                {mayDrain && (
                  <th scope="col">
                    <span className="hidden">Actions</span>
                  </th>
                )}
              </tr>
            </thead>
            <tbody>
              {workers.map((worker) => (
                <Row key={worker.id} worker={worker} onDrain={mayDrain ? () => setDraining(worker) : undefined} />
              ))}
            </tbody>
          </table>
        </div>
      )}
      <p className="soft small">Shown are those that run, and those lost within the last hour.</p>
      {draining && mayDrain && <DrainDialog worker={draining} onClose={() => setDraining(null)} />}
    </div>
  );
}
