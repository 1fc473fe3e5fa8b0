// Why a job does not run: the reason in words, what blocks it, its place, and the time left.
import { Link } from '@tanstack/react-router';
import { Icon } from '../ui/Icon';
import { Countdown, Sentence } from '../ui/Time';
import type { JobOfPage } from './documents';

const FIELDS = { Command: 'command', Profile: 'profile', Proxy: 'proxy', Service: 'service' } as const;

type Blocker = NonNullable<NonNullable<JobOfPage['waiting']>['blocker']>;

function BlockerLink({ blocker }: { blocker: Blocker }) {
  const name = 'name' in blocker ? blocker.name : blocker.id;
  if (blocker.__typename === 'Job') {
    return (
      <Link to="/jobs/$jobId" params={{ jobId: blocker.id }}>
        Open the job that it waits for
      </Link>
    );
  }
  if (blocker.__typename === 'Queue') {
    return (
      <Link to="/jobs" search={{ queue: [name] }}>
        {`Jobs of the queue ${name}`}
      </Link>
    );
  }
  const field = FIELDS[blocker.__typename as keyof typeof FIELDS];
  if (!field) return null;
  return (
    <Link to="/jobs" search={{ [field]: [blocker.id] }}>
      {`Jobs with ${name}`}
    </Link>
  );
}

export function WaitingCard({ waiting }: { waiting: NonNullable<JobOfPage['waiting']> }) {
  return (
    <div className="waiting" role="status">
      <Icon name="clock" />
      <div>
        <p className="waiting-text">
          <Sentence text={waiting.explanation} />
        </p>
        <p className="waiting-more">
          <span className="mono">{waiting.reason}</span>
          {waiting.position !== null && <span>{`place ${waiting.position}`}</span>}
          {waiting.until && <Countdown until={waiting.until} />}
          {waiting.blocker && <BlockerLink blocker={waiting.blocker} />}
        </p>
      </div>
    </div>
  );
}
