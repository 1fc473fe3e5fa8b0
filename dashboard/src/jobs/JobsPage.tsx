import { getRouteApi, Link, useNavigate } from '@tanstack/react-router';
import { useCallback, useEffect, useMemo, useRef, useState } from 'react';
import { playgroundUrl } from '../app/playground';
import { useCan } from '../app/session';
import { Icon } from '../ui/Icon';
import { useKeys } from '../ui/keys';
import { Empty, Loading, ProblemBanner } from '../ui/parts';
import { useStore } from '../ui/store';
import { BulkDialog, type Question } from './BulkDialog';
import type { Act } from './bulk';
import { Jobs } from './documents';
import { Filters } from './Filters';
import { JobsTable } from './JobsTable';
import { JobsList } from './list';
import { useNames } from './names';
import { filterOf, orderOf, wordsOf, type JobsSearch } from './search';

const route = getRouteApi('/shell/jobs');
const MANY = 10_000;

function useJobs(search: JobsSearch) {
  const key = JSON.stringify([filterOf(search), orderOf(search)]);
  const list = useMemo(() => {
    const [filter, order] = JSON.parse(key) as [ReturnType<typeof filterOf>, ReturnType<typeof orderOf>];
    return new JobsList(filter, order);
  }, [key]);
  useEffect(() => {
    list.start();
    return () => list.end();
  }, [list]);
  return { list, view: useStore(list.view) };
}

function useSelection(key: string) {
  const [selected, setSelected] = useState<ReadonlySet<string>>(new Set());
  // Another filter shows other jobs, so what was selected is forgotten.
  useEffect(() => setSelected(new Set()), [key]);
  const select = useCallback((id: string, isSelected: boolean) => {
    setSelected((before) => {
      const next = new Set(before);
      if (isSelected) next.add(id);
      else next.delete(id);
      return next;
    });
  }, []);
  return { selected, select, setSelected };
}

export function JobsPage() {
  const search = route.useSearch();
  const navigate = useNavigate();
  const { list, view } = useJobs(search);
  const nameOf = useNames(search);
  const canCancel = useCan('jobsCancel');
  const canRetry = useCan('jobsRetry');
  const canEnqueue = useCan('jobEnqueue');
  const field = useRef<HTMLInputElement>(null);
  const [current, setCurrent] = useState(-1);
  const [question, setQuestion] = useState<Question | null>(null);
  const { selected, select, setSelected } = useSelection(JSON.stringify(search));
  useEffect(() => {
    document.title = 'Jobs · Callboard';
  }, []);
  const onChange = (next: JobsSearch) => void navigate({ to: '/jobs', search: next });
  const askFor = (act: Act, ids: readonly string[] | null) => {
    if (act === 'cancel' ? !canCancel : !canRetry) return;
    if (!ids) return setQuestion({ act, filter: filterOf(search), words: wordsOf(search, nameOf) });
    if (ids.length === 0) return;
    const names = ids.length <= 3 ? ids.join(', ') : `${ids.length} jobs that you selected`;
    setQuestion({ act, filter: { ids: [...ids] }, words: [`Jobs: ${names}`] });
  };
  const chosen = () => {
    if (selected.size > 0) return [...selected];
    const row = view.rows[current];
    return row ? [row.id] : [];
  };
  const move = (by: number) => setCurrent((at) => Math.max(0, Math.min(at + by, view.rows.length - 1)));
  useKeys({
    '/': () => field.current?.focus(),
    j: () => move(1),
    k: () => move(-1),
    o: () => view.rows[current] && void navigate({ to: '/jobs/$jobId', params: { jobId: view.rows[current].id } }),
    x: () => view.rows[current] && select(view.rows[current].id, !selected.has(view.rows[current].id)),
    r: () => askFor('retry', chosen()),
    '.': () => askFor('cancel', chosen()),
    Escape: () => setSelected(new Set()),
  });
  const isFiltered = filterOf(search) !== null;
  const count = view.count === null ? '' : view.count >= MANY ? '10,000+ jobs' : `${view.count.toLocaleString('en')} ${view.count === 1 ? 'job' : 'jobs'}`;
  return (
    <div className="page full">
      <div className="page-head">
        <h1>Jobs</h1>
        <span className="soft" role="status">
          {isFiltered && count ? `${count} match` : count}
        </span>
        {view.fresh > 0 && (
          <button type="button" className="pill" onClick={() => void list.load()}>
            <Icon name="up" />
            {`${view.fresh} new`}
          </button>
        )}
        <a className="push small" href={playgroundUrl(Jobs, { filter: filterOf(search), orderBy: orderOf(search), first: 50 })}>
          Show the query
        </a>
      </div>
      <Filters search={search} nameOf={nameOf} field={field} onChange={onChange} />
      {view.problem && <ProblemBanner problem={view.problem} again={() => void list.load()} />}
      <div className="bulk" data-shown={selected.size > 0 || undefined}>
        {selected.size === 0 ? (
          <span className="soft small only-wide">Select jobs with the boxes or with x to act on many at once.</span>
        ) : (
          <>
            <b>{`${selected.size} selected`}</b>
            {canRetry && (
              <button type="button" onClick={() => askFor('retry', [...selected])}>
                <Icon name="retry" /> Retry
              </button>
            )}
            {canCancel && (
              <button type="button" onClick={() => askFor('cancel', [...selected])}>
                <Icon name="stop" /> Cancel
              </button>
            )}
            <span className="soft">{`or all ${count}:`}</span>
            {canRetry && (
              <button type="button" className="quiet" onClick={() => askFor('retry', null)}>
                Retry all
              </button>
            )}
            {canCancel && (
              <button type="button" className="quiet" onClick={() => askFor('cancel', null)}>
                Cancel all
              </button>
            )}
            <button type="button" className="quiet" onClick={() => setSelected(new Set())}>
              Clear
            </button>
          </>
        )}
      </div>
      {view.isLoading && <Loading what="the jobs" lines={10} />}
      {!view.isLoading && view.rows.length === 0 && !view.problem && (
        <Empty title={isFiltered ? 'No job matches' : 'There are no jobs yet'}>
          {isFiltered ? (
            <button type="button" onClick={() => onChange({})}>
              Clear the filters
            </button>
          ) : (
            <p>
              {canEnqueue ? <Link to="/compose">Compose one</Link> : 'An OPERATOR can run one.'}
            </p>
          )}
        </Empty>
      )}
      {view.rows.length > 0 && (
        <JobsTable
          view={view}
          selected={selected}
          current={current}
          onSelect={select}
          onSelectAll={(isSelected) => setSelected(isSelected ? new Set(view.rows.map(({ id }) => id)) : new Set())}
          onCurrent={setCurrent}
          onEnd={list.more}
        />
      )}
      {question && (
        <BulkDialog
          question={question}
          onClose={(isDone) => {
            setQuestion(null);
            if (isDone) setSelected(new Set());
          }}
        />
      )}
    </div>
  );
}
