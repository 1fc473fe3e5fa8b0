// The newest jobs of an object of the catalogue.
import { Link } from '@tanstack/react-router';
import type { JobState } from '../graphql';
import { State } from '../ui/State';
import { Age } from '../ui/Time';

interface JobOf {
  id: string;
  state: JobState;
  createdAt: string;
  command: { name: string } | null;
}

export function JobsOf({ jobs }: { jobs: readonly JobOf[] }) {
  if (jobs.length === 0) return <p className="soft">There are none yet.</p>;
  return (
    <ul className="item-list">
      {jobs.map(({ id, state, createdAt, command }) => (
        <li key={id}>
          <span>
            <State state={state} />{' '}
            <Link to="/jobs/$jobId" params={{ jobId: id }}>
              {command?.name ?? 'deleted command'}
            </Link>
          </span>
          <span className="soft">
            <Age at={createdAt} />
          </span>
        </li>
      ))}
    </ul>
  );
}
