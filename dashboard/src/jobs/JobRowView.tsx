import { Link } from '@tanstack/react-router';
import { memo } from 'react';
import { Progress } from '../ui/parts';
import { attemptOf, State } from '../ui/State';
import { Age, Sentence, Took } from '../ui/Time';
import type { Row } from './documents';

/** What a job does, waits for, or came to, in one line. */
export function Doing({ row }: { row: Row }) {
  if (row.waiting) {
    return (
      <span className="cut" title={row.waiting.explanation}>
        <Sentence text={row.waiting.explanation} />
      </span>
    );
  }
  if (row.state === 'RUNNING') {
    if (row.progress) return <Progress fraction={row.progress.fraction} message={row.progress.message} />;
    return <span className="soft">{row.startedAt && <>for <Took from={row.startedAt} to={null} /></>}</span>;
  }
  if (row.failure) {
    return (
      <span className="cut" title={row.failure.message}>
        <b className="code">{row.failure.code}</b> {row.failure.message}
      </span>
    );
  }
  if (!row.startedAt) return <span className="soft">{row.finishedAt && 'ended before it started'}</span>;
  return (
    <span className="soft">
      took <Took from={row.startedAt} to={row.finishedAt} />
    </span>
  );
}

interface Props {
  row: Row;
  index: number;
  isSelected: boolean;
  onSelect(id: string, isSelected: boolean): void;
  onCurrent(index: number): void;
}

export const JobRowView = memo(function JobRowView({ row, index, isSelected, onSelect, onCurrent }: Props) {
  const name = row.command?.name ?? 'deleted command';
  return (
    <>
      <span role="cell" className="cell-select">
        <label className="check">
          <input
            type="checkbox"
            checked={isSelected}
            onChange={({ target }) => onSelect(row.id, target.checked)}
            aria-label={`Select ${name} ${row.id.slice(-6)}`}
          />
        </label>
      </span>
      <span role="cell" className="cell-state">
        <State state={row.state} />
      </span>
      <span role="cell" className="cell-command">
        <Link to="/jobs/$jobId" params={{ jobId: row.id }} title={row.id} onFocus={() => onCurrent(index)}>
          {name} <span className="mono soft">{row.id.slice(-6)}</span>
        </Link>
      </span>
      <span role="cell" className="cell-profile cut">
        {row.profile?.name ?? <span className="soft">none</span>}
      </span>
      <span role="cell" className="cell-exit cut">
        {row.proxy?.name ?? <span className="soft">direct</span>}
      </span>
      <span role="cell" className="cell-doing">
        <Doing row={row} />
      </span>
      <span role="cell" className="cell-attempt">
        {attemptOf(row) === 0 ? <span className="soft">{row.finishedAt ? 'none' : 'none yet'}</span> : `${attemptOf(row)} of ${row.policy.maxAttempts}`}
      </span>
      <span role="cell" className="cell-age">
        <Age at={row.createdAt} />
      </span>
      <span role="cell" className="cell-labels">
        {row.labels.map((label) => (
          <span key={label} className="chip cut">
            {label}
          </span>
        ))}
      </span>
    </>
  );
});
