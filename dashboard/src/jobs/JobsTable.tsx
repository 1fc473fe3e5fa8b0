// The table of jobs. Only the rows in view are in the document.
import { useVirtualizer } from '@tanstack/react-virtual';
import { useEffect, useRef, useSyncExternalStore } from 'react';
import type { JobsView } from './list';
import { JobRowView } from './JobRowView';

const narrow = matchMedia('(width < 760px)');
const watchNarrow = (listener: () => void) => {
  narrow.addEventListener('change', listener);
  return () => narrow.removeEventListener('change', listener);
};
const ROW = 36;
const CARD = 74;

const COLUMNS = ['State', 'Command', 'Profile', 'Exit', 'What it does or waits for', 'Attempt', 'Age', 'Labels'];

interface Props {
  view: JobsView;
  selected: ReadonlySet<string>;
  current: number;
  onSelect(id: string, isSelected: boolean): void;
  onSelectAll(isSelected: boolean): void;
  onCurrent(index: number): void;
  onEnd(): void;
}

export function JobsTable({ view, selected, current, onSelect, onSelectAll, onCurrent, onEnd }: Props) {
  const frame = useRef<HTMLDivElement>(null);
  const isNarrow = useSyncExternalStore(watchNarrow, () => narrow.matches);
  const { rows, hasMore } = view;
  const virtual = useVirtualizer({
    count: rows.length,
    getScrollElement: () => frame.current,
    estimateSize: () => (isNarrow ? CARD : ROW),
    getItemKey: (index) => rows[index]?.id ?? index,
    overscan: 6,
    useFlushSync: false,
  });
  useEffect(() => virtual.measure(), [isNarrow, virtual]);
  const items = virtual.getVirtualItems();
  const last = items.at(-1)?.index ?? 0;
  useEffect(() => {
    if (hasMore && last >= rows.length - 15) onEnd();
  }, [hasMore, last, rows.length, onEnd]);
  // The keys j and k move the focus, so that the row is also read aloud.
  useEffect(() => {
    if (current < 0) return;
    virtual.scrollToIndex(current, { align: 'auto' });
    const id = rows[current]?.id;
    const focus = () => frame.current?.querySelector<HTMLElement>(`[data-job="${id}"] a`)?.focus({ preventScroll: true });
    const timer = requestAnimationFrame(focus);
    return () => cancelAnimationFrame(timer);
    // Rows that change do not move the focus.
  }, [current, virtual]);
  const isAll = rows.length > 0 && rows.every(({ id }) => selected.has(id));
  return (
    <div ref={frame} className="table" role="table" aria-label="Jobs" aria-rowcount={hasMore ? -1 : rows.length + 1} tabIndex={0}>
      <div className="table-head" role="rowgroup">
        <div className="job-row" role="row" aria-rowindex={1}>
          <span className="cell-select" role="columnheader">
            <label className="check">
              <input type="checkbox" checked={isAll} onChange={({ target }) => onSelectAll(target.checked)} aria-label="Select the rows that are loaded" />
            </label>
          </span>
          {COLUMNS.map((name) => (
            <span key={name} role="columnheader" className="cut">
              {name}
            </span>
          ))}
        </div>
      </div>
      <div role="rowgroup" className="table-body" style={{ height: virtual.getTotalSize() }}>
        {items.map(({ index, start, size, key }) => {
          const row = rows[index]!;
          return (
            <div
              key={key}
              role="row"
              aria-rowindex={index + 2}
              aria-selected={selected.has(row.id)}
              className="job-row"
              data-job={row.id}
              data-left={view.left.has(row.id) || undefined}
              style={{ transform: `translateY(${start}px)`, height: size }}
            >
              <JobRowView row={row} index={index} isSelected={selected.has(row.id)} onSelect={onSelect} onCurrent={onCurrent} />
            </div>
          );
        })}
      </div>
    </div>
  );
}
