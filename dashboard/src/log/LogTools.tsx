// The bar above the lines: search, what is shown, follow, and copy.
import type { KeyboardEvent, RefObject } from 'react';
import { Icon } from '../ui/Icon';
import type { Line } from './documents';
import type { Choice } from './search';

const STREAMS: readonly [Line['stream'], string][] = [
  ['STDOUT', 'stdout'],
  ['STDERR', 'stderr'],
  ['SYSTEM', 'system'],
];

interface Props {
  field: RefObject<HTMLInputElement | null>;
  search: string;
  onSearch(text: string): void;
  hits: number;
  hit: number;
  onHit(by: number): void;
  choice: Choice;
  onChoice(choice: Choice): void;
  attempts: readonly number[];
  hasTimes: boolean;
  onTimes(hasTimes: boolean): void;
  isFollowing: boolean;
  onFollow(isFollowing: boolean): void;
  onCopy(): void;
}

export function LogTools(props: Props) {
  const { field, search, hits, hit, onHit, choice, onChoice, attempts } = props;
  const onKey = (event: KeyboardEvent) => {
    if (event.key === 'Enter') onHit(event.shiftKey ? -1 : 1);
    else if (event.key === 'Escape') field.current?.blur();
    else return;
    event.preventDefault();
  };
  const toggle = (stream: Line['stream']) => {
    const without = new Set(choice.without);
    if (!without.delete(stream)) without.add(stream);
    onChoice({ ...choice, without });
  };
  return (
    <div className="log-tools" role="group" aria-label="Log">
      <input
        ref={field}
        type="search"
        className="log-search"
        value={search}
        onChange={({ target }) => props.onSearch(target.value)}
        onKeyDown={onKey}
        placeholder="Search the log"
        aria-label="Search the log"
        maxLength={200}
        spellCheck={false}
      />
      {search !== '' && (
        <>
          <span className="log-hits" role="status">
            {hits === 0 ? 'no hit' : `hit ${hit + 1} of ${hits.toLocaleString('en')}`}
          </span>
          <button type="button" className="quiet" aria-label="Previous hit" disabled={hits === 0} onClick={() => onHit(-1)}>
            <Icon name="up" />
          </button>
          <button type="button" className="quiet" aria-label="Next hit" disabled={hits === 0} onClick={() => onHit(1)}>
            <Icon name="down" />
          </button>
        </>
      )}
      {attempts.length > 1 && (
        <select
          aria-label="Attempt"
          value={choice.attempt ?? ''}
          onChange={({ target }) => onChoice({ ...choice, attempt: target.value ? Number(target.value) : null })}
        >
          <option value="">All attempts</option>
          {attempts.map((attempt) => (
            <option key={attempt} value={attempt}>{`Attempt ${attempt}`}</option>
          ))}
        </select>
      )}
      {STREAMS.map(([stream, name]) => (
        <button key={stream} type="button" aria-pressed={!choice.without.has(stream)} onClick={() => toggle(stream)}>
          {name}
        </button>
      ))}
      <button type="button" aria-pressed={props.hasTimes} onClick={() => props.onTimes(!props.hasTimes)}>
        <Icon name="clock" />
        Times
      </button>
      <button type="button" onClick={props.onCopy}>
        <Icon name="copy" />
        Copy
      </button>
      <button type="button" aria-pressed={props.isFollowing} onClick={() => props.onFollow(!props.isFollowing)}>
        <Icon name="down" />
        Follow
      </button>
    </div>
  );
}
