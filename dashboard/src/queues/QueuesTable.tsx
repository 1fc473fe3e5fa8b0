import { Link } from '@tanstack/react-router';
import type { Queue } from './documents';
import { Count, EmptyAt, Oldest, Slots } from './Numbers';

const COLUMNS = ['Queue', 'Queued', 'Running', 'Scheduled', 'Blocked', 'Failed, 24 h', 'Succeeded, 24 h', 'Slots wanted', 'Oldest queued', 'Empty', 'Limit'];

export function QueuesTable({ queues, label }: { queues: readonly Queue[]; label: string }) {
  return (
    <div className="scroll" tabIndex={0} role="region" aria-label={label}>
      <table className="plain numbers">
        <thead>
          <tr>
            {COLUMNS.map((name) => (
              <th key={name} scope="col">
                {name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {queues.map((queue) => (
            <tr key={queue.id}>
              <th scope="row">
                <Link to="/queues/$name" params={{ name: queue.name }} className="cut queue-name" title={queue.name}>
                  {queue.name}
                </Link>
                {queue.isPaused && <span className="chip paused">Paused</span>}
              </th>
              {(['queued', 'running', 'scheduled', 'blocked', 'failed', 'succeeded'] as const).map((field) => (
                <td key={field}>
                  <Count value={queue.counts[field]} state={field.toUpperCase() as 'QUEUED'} queue={queue.name} />
                </td>
              ))}
              <td>
                <Slots demand={queue.demand} slots={queue.slots} />
              </td>
              <td>
                <Oldest at={queue.oldestQueuedAt} queue={queue.name} />
              </td>
              <td>
                <EmptyAt queue={queue} />
              </td>
              <td>{queue.maxConcurrency === null ? <span className="soft">none</span> : queue.maxConcurrency.toLocaleString('en')}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
