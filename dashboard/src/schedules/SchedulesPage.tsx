// The schedules: as a list with their next runs, and as the week that comes.
import '../styles/overview.css';
import '../styles/schedules.css';
import { getRouteApi, Link, useNavigate } from '@tanstack/react-router';
import { lazy, Suspense, useEffect, useRef, useState, type RefObject } from 'react';
import { useAsk } from '../api/ask';
import { useEvery } from '../api/live';
import { playgroundUrl } from '../app/playground';
import { useCan } from '../app/session';
import { useKeys } from '../ui/keys';
import { Empty, Loading, ProblemBanner } from '../ui/parts';
import { useZone } from '../ui/Time';
import { Schedules } from './documents';
import { ScheduleCard } from './ScheduleCard';
import { MOST_RUNS } from './week';
import { Week } from './Week';

const route = getRouteApi('/shell/schedules');
const ScheduleDialog = lazy(() => import('./ScheduleDialog').then(({ ScheduleDialog }) => ({ default: ScheduleDialog })));

function Search({ q, field }: { q: string; field: RefObject<HTMLInputElement | null> }) {
  const navigate = useNavigate();
  const [typed, setTyped] = useState(q);
  useEffect(() => setTyped(q), [q]);
  useEffect(() => {
    if (typed.trim() === q) return;
    const timer = setTimeout(() => void navigate({ to: '/schedules', search: (before) => ({ ...before, q: typed.trim() || undefined }), replace: true }), 250);
    return () => clearTimeout(timer);
  }, [typed, q, navigate]);
  return (
    <input
      ref={field}
      type="search"
      className="schedule-search"
      value={typed}
      maxLength={100}
      aria-label="Search by name"
      placeholder="Search by name"
      onChange={({ target }) => setTyped(target.value)}
    />
  );
}

function Views() {
  return (
    <nav className="spans" aria-label="View">
      {([undefined, 'week'] as const).map((one) => (
        <Link
          key={one ?? 'list'}
          to="/schedules"
          search={(before) => ({ ...before, view: one })}
          className="button"
          activeOptions={{ exact: true, includeSearch: true }}
        >
          {one ? 'Week' : 'List'}
        </Link>
      ))}
    </nav>
  );
}

export function SchedulesPage() {
  const { view, q, edit } = route.useSearch();
  const navigate = useNavigate();
  const mayCreate = useCan('scheduleCreate');
  const mayUpdate = useCan('scheduleUpdate');
  const zone = useZone() ?? Intl.DateTimeFormat().resolvedOptions().timeZone;
  const field = useRef<HTMLInputElement>(null);
  const variables = { search: q ?? null, count: view ? MOST_RUNS : 5 };
  const { data, problem, isLoading, again } = useAsk(Schedules, variables);
  // No stream reports schedules.
  useEvery(view ? 60 : 10, () => void again());
  useEffect(() => {
    document.title = 'Schedules · Callboard';
  }, []);
  const open = (one: string | undefined) => void navigate({ to: '/schedules', search: (before) => ({ ...before, edit: one }) });
  useKeys({ '/': () => field.current?.focus(), n: () => mayCreate && open('new') });
  const { nodes = [], totalCount = 0, pageInfo } = data?.schedules ?? {};
  const isOpen = edit !== undefined && (edit === 'new' ? mayCreate : mayUpdate);
  return (
    <div className="page">
      <div className="page-head">
        <h1>Schedules</h1>
        <Views />
        <p className="soft">
          {`Times are in ${zone}. `}
          <Link to="/settings">Change</Link>
        </p>
        <a className="push small" href={playgroundUrl(Schedules, variables)}>
          Show the query
        </a>
      </div>
      <div className="page-head">
        <Search q={q ?? ''} field={field} />
        {mayCreate && (
          <button type="button" className="primary" onClick={() => open('new')}>
            New schedule
          </button>
        )}
      </div>
      {problem && <ProblemBanner problem={problem} again={() => void again()} />}
      {isLoading && <Loading what="the schedules" lines={10} />}
      {data && nodes.length === 0 && (
        <Empty title={q ? 'No schedule has this name' : 'There are no schedules yet'}>
          {q ? (
            <Link to="/schedules" search={view ? { view } : {}}>
              Show all
            </Link>
          ) : (
            <p>A schedule enqueues a job at the times of a pattern. {mayCreate && 'Make one with “New schedule”.'}</p>
          )}
        </Empty>
      )}
      {nodes.length > 0 && view === 'week' && <Week schedules={nodes} />}
      {nodes.length > 0 && !view && (
        <ul className="schedules" aria-label="Schedules">
          {nodes.map((schedule) => (
            <ScheduleCard key={schedule.id} schedule={schedule} onChanged={() => void again()} />
          ))}
        </ul>
      )}
      {pageInfo?.hasNextPage && <p className="soft">{`The first 100 of ${totalCount ?? 'more'} are shown. Search for the others by name.`}</p>}
      {isOpen && (
        <Suspense>
          <ScheduleDialog
            id={edit === 'new' ? null : edit}
            onClose={(isSaved) => {
              open(undefined);
              if (isSaved) void again();
            }}
          />
        </Suspense>
      )}
    </div>
  );
}
