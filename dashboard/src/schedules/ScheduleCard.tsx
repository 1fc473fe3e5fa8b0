// One schedule: when it runs next, what came of its last run, and what may be done.
import { Link } from '@tanstack/react-router';
import { useEffect, useState } from 'react';
import { change, useAsk } from '../api/ask';
import { useEvery } from '../api/live';
import { useCan } from '../app/session';
import { Icon } from '../ui/Icon';
import { State } from '../ui/State';
import { Countdown, Sentence, Time } from '../ui/Time';
import { lengthOf, millisecondsOf } from '../ui/time';
import { tell } from '../ui/Toast';
import { LastJob, ScheduleUpdate, type Schedule } from './documents';
import { OVERLAPS } from './form';

function Last({ schedule: { id, lastRunAt } }: { schedule: Schedule }) {
  const { data, again } = useAsk(LastJob, lastRunAt === null ? null : { scheduleId: id });
  const job = data?.jobs.nodes[0];
  // Another run has another job.
  useEffect(() => void again(), [again, lastRunAt]);
  useEvery(5, () => job && !job.finishedAt && void again());
  if (lastRunAt === null) return <span className="soft">none yet</span>;
  return (
    <>
      <Time at={lastRunAt} />
      {job && (
        <Link to="/jobs/$jobId" params={{ jobId: job.id }} className="last-job">
          <State state={job.state} />
        </Link>
      )}
    </>
  );
}

function Acts({ schedule: { id, name, isPaused }, onChanged }: Props) {
  const mayUpdate = useCan('scheduleUpdate');
  const [isBusy, setBusy] = useState(false);
  if (!mayUpdate) return null;
  const act = async () => {
    setBusy(true);
    const { data, problem } = await change(ScheduleUpdate, { input: { id, isPaused: !isPaused } });
    setBusy(false);
    const refused = data?.scheduleUpdate.userErrors[0]?.message ?? problem?.message;
    tell(refused ?? (isPaused ? `${name} is resumed, and continues from now.` : `${name} is paused. Runs that it misses are not made up.`));
    onChanged();
  };
  return (
    <>
      <button type="button" disabled={isBusy} aria-label={`${isPaused ? 'Resume' : 'Pause'} ${name}`} onClick={() => void act()}>
        <Icon name={isPaused ? 'play' : 'pause'} /> {isPaused ? 'Resume' : 'Pause'}
      </button>
      <Link to="/schedules" search={(before) => ({ ...before, edit: id })} className="button" aria-label={`Edit ${name}`}>
        Edit
      </Link>
    </>
  );
}

interface Props {
  schedule: Schedule;
  onChanged(): void;
}

export function ScheduleCard({ schedule, onChanged }: Props) {
  const { id, name, cron, timezone, isPaused, overlap, catchUp, upcoming, lastFailure, job } = schedule;
  const missed = millisecondsOf(catchUp);
  return (
    <li className="schedule">
      <div className="page-head">
        <h2>{name}</h2>
        {isPaused && <span className="chip paused">Paused</span>}
        <span className="mono schedule-cron">{cron}</span>
        <span className="soft">{timezone}</span>
        <span className="push schedule-acts">
          <Link to="/jobs" search={{ schedule: [id] }} aria-label={`Jobs of ${name}`}>
            Jobs
          </Link>
          <Acts schedule={schedule} onChanged={onChanged} />
        </span>
      </div>
      {lastFailure && (
        <p className="job-failure">
          {'The job of the last run was refused: '}
          <Sentence text={lastFailure} />
        </p>
      )}
      <dl className="schedule-facts">
        <div className="schedule-next">
          <dt>Next runs</dt>
          <dd>
            {upcoming.length === 0 && <span className="soft">none while it is paused</span>}
            <ol>
              {upcoming.map((at, index) => (
                <li key={at}>
                  <Time at={at} />
                  {index === 0 && (
                    <span className="soft">
                      {', '}
                      <Countdown until={at} />
                    </span>
                  )}
                </li>
              ))}
            </ol>
          </dd>
        </div>
        <div>
          <dt>Last run</dt>
          <dd className="schedule-last">
            <Last schedule={schedule} />
          </dd>
        </div>
        <div>
          <dt>Runs</dt>
          <dd>
            <Link to="/jobs" search={{ command: [job.command.id] }}>
              {job.command.name}
            </Link>
            {job.profile && ` on ${job.profile.name}`}
            {' in '}
            <Link to="/queues/$name" params={{ name: job.queue }}>
              {job.queue}
            </Link>
            <span className="soft">{`, priority ${job.priority}`}</span>
          </dd>
        </div>
        <div>
          <dt>While its last job is unfinished</dt>
          <dd>{OVERLAPS.find(([one]) => one === overlap)?.[1] ?? overlap}</dd>
        </div>
        <div>
          <dt>Makes up missed runs</dt>
          <dd>{missed === 0 ? 'none' : `those of the last ${lengthOf(missed)}`}</dd>
        </div>
      </dl>
    </li>
  );
}
