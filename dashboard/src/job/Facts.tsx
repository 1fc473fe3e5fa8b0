// What a job was enqueued with, beside its tabs.
import { Link } from '@tanstack/react-router';
import type { ReactNode } from 'react';
import { Time } from '../ui/Time';
import type { JobOfPage } from './documents';

function Fact({ name, children }: { name: string; children: ReactNode }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}

export function Facts({ job }: { job: JobOfPage }) {
  return (
    <dl className="facts">
      <Fact name="Created">
        <Time at={job.createdAt} />
        {job.createdBy && <span className="soft">{` by ${job.createdBy}`}</span>}
      </Fact>
      <Fact name="Queue">
        <Link to="/jobs" search={{ queue: [job.queue] }}>
          {job.queue}
        </Link>
        <span className="soft">{`, priority ${job.priority}`}</span>
      </Fact>
      {job.profile && (
        <Fact name="Profile">
          <Link to="/jobs" search={{ profile: [job.profile.id] }}>
            {job.profile.name}
          </Link>
        </Fact>
      )}
      <Fact name="Exit">{job.proxy?.name ?? 'direct'}</Fact>
      {job.services.length > 0 && <Fact name="Services">{job.services.map(({ name }) => name).join(', ')}</Fact>}
      {job.schedule && (
        <Fact name="Schedule">
          <Link to="/jobs" search={{ schedule: [job.schedule.id] }}>
            {job.schedule.name}
          </Link>
          {job.scheduledFor && (
            <>
              {', for '}
              <Time at={job.scheduledFor} />
            </>
          )}
        </Fact>
      )}
      {job.finishedAt && (
        <Fact name="Finished">
          <Time at={job.finishedAt} />
        </Fact>
      )}
      {job.idempotencyKey && <Fact name="Idempotency key">{job.idempotencyKey}</Fact>}
      {job.fairnessKey && <Fact name="Fairness key">{job.fairnessKey}</Fact>}
      {job.labels.length > 0 && (
        <Fact name="Labels">
          {job.labels.map((label) => (
            <Link key={label} className="chip" to="/jobs" search={{ label: [label] }}>
              {label}
            </Link>
          ))}
        </Fact>
      )}
    </dl>
  );
}
