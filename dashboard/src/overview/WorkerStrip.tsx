import { Link } from '@tanstack/react-router';
import type { Worker } from '../workers/documents';
import { meaningOf, slotsOf } from '../workers/fleet';
import { SlotBar, Status } from '../workers/parts';

export function WorkerStrip({ workers }: { workers: readonly Worker[] }) {
  const { active, slots, inUse } = slotsOf(workers);
  return (
    <section className="stack" aria-labelledby="strip-name">
      <div className="page-head">
        <h2 id="strip-name">Workers</h2>
        <Link to="/workers">{`${active} active, ${inUse.toLocaleString('en')} of ${slots.toLocaleString('en')} slots in use`}</Link>
      </div>
      {workers.length === 0 && <p className="soft">No worker runs, so no job starts. Start one with callboard-worker run.</p>}
      <ul className="strip">
        {workers.map(({ id, hostname, status, running: jobs, concurrency }) => (
          <li key={id} title={meaningOf(status)}>
            <span className="cut">
              {hostname} <span className="mono soft">{id.slice(-6)}</span>
            </span>
            <Status status={status} />
            <SlotBar running={jobs} concurrency={concurrency} />
          </li>
        ))}
      </ul>
    </section>
  );
}
