// The bar above the table: search, states, more filters, order, and what is set as chips.
import { useEffect, useState, type RefObject } from 'react';
import type { JobState } from '../graphql';
import { Icon } from '../ui/Icon';
import { State, STATES, wordOf } from '../ui/State';
import { dateTime } from '../ui/time';
import { useZone } from '../ui/Time';
import { AddFilter } from './AddFilter';
import { SavedViews } from './SavedViews';
import { chipsOf, ORDERS, type JobsSearch, type Order } from './search';

interface Props {
  search: JobsSearch;
  nameOf(id: string): string;
  field: RefObject<HTMLInputElement | null>;
  onChange(search: JobsSearch): void;
}

/** Reads the typed text once nobody types for a moment, or at once with Enter. */
function SearchField({ search, field, onChange }: Omit<Props, 'nameOf'>) {
  const [text, setText] = useState(search.q ?? '');
  useEffect(() => setText(search.q ?? ''), [search.q]);
  const apply = (value: string) => {
    const q = value.trim() === '' ? undefined : value;
    if (q !== search.q) onChange({ ...search, q });
  };
  useEffect(() => {
    const timer = setTimeout(() => apply(text), 300);
    return () => clearTimeout(timer);
  });
  return (
    <input
      ref={field}
      type="search"
      className="filter-search"
      value={text}
      onChange={({ target }) => setText(target.value)}
      onKeyDown={(event) => {
        if (event.key === 'Enter') apply(text);
        if (event.key === 'Escape') field.current?.blur();
      }}
      placeholder="Command, label or id"
      aria-label="Search by command, label or id"
      maxLength={200}
    />
  );
}

export function Filters({ search, nameOf, field, onChange }: Props) {
  const zone = useZone();
  const chips = chipsOf(search, nameOf);
  const isAny = chips.length > 0 || search.state !== undefined || search.q !== undefined;
  const toggle = (state: JobState) => {
    const before = search.state ?? [];
    const next = before.includes(state) ? before.filter((one) => one !== state) : [...before, state];
    onChange({ ...search, state: next.length > 0 ? next : undefined });
  };
  return (
    <div className="filters">
      <div className="filters-line">
        <SearchField search={search} field={field} onChange={onChange} />
        <AddFilter search={search} onChange={onChange} />
        <SavedViews search={search} />
        <label>
          <span className="hidden">Order</span>
          <select
            value={search.order ?? 'newest'}
            onChange={({ target }) => onChange({ ...search, order: target.value === 'newest' ? undefined : (target.value as Order) })}
          >
            {Object.entries(ORDERS).map(([key, { name }]) => (
              <option key={key} value={key}>
                {name}
              </option>
            ))}
          </select>
        </label>
      </div>
      <div className="filters-line" role="group" aria-label="States">
        {STATES.map((state) => (
          <button
            key={state}
            type="button"
            className="state-toggle"
            aria-pressed={search.state?.includes(state) ?? false}
            aria-label={wordOf(state)}
            onClick={() => toggle(state)}
          >
            <State state={state} />
          </button>
        ))}
        {chips.map(({ key, label, value, without }) => (
          <span key={key} className="chip filter-chip">
            <span className="chip-soft">{label}</span>
            <span className="cut">{key === 'from' || key === 'to' ? dateTime(value, zone) : value}</span>
            <button type="button" className="quiet" aria-label={`Remove the filter ${label} ${value}`} onClick={() => onChange(without)}>
              <Icon name="close" />
            </button>
          </span>
        ))}
        {isAny && (
          <button type="button" className="quiet" onClick={() => onChange(search.order ? { order: search.order } : {})}>
            Clear
          </button>
        )}
      </div>
    </div>
  );
}
