import { getRouteApi, Link, useNavigate } from '@tanstack/react-router';
import { useEffect, useRef, useState } from 'react';
import { ask, type Problem } from '../api/ask';
import { playgroundUrl } from '../app/playground';
import { useCan } from '../app/session';
import { Icon } from '../ui/Icon';
import { useKeys } from '../ui/keys';
import { Empty, Loading, ProblemBanner } from '../ui/parts';
import { Age } from '../ui/Time';
import '../styles/commands.css';
import { Commands, type CommandRow } from './documents';
import { kindOf } from './words';

const route = getRouteApi('/shell/commands');
const PAGE = 50;

interface List {
  rows: readonly CommandRow[];
  count: number | null;
  next: string | null;
  problem: Problem | null;
  isLoading: boolean;
}

const NOTHING: List = { rows: [], count: null, next: null, problem: null, isLoading: true };

/** The commands with this part of a name, page by page. */
function useCommands(search: string | undefined) {
  const [list, setList] = useState<List>(NOTHING);
  const turn = useRef(0);
  const read = async (after: string | null) => {
    const mine = ++turn.current;
    const { data, problem } = await ask(Commands, { search: search ?? null, first: PAGE, after });
    if (mine !== turn.current) return;
    setList((before) => {
      if (!data) return { ...before, problem, isLoading: false };
      const { nodes, pageInfo, totalCount } = data.commands;
      return { rows: after ? [...before.rows, ...nodes] : nodes, count: totalCount, next: pageInfo.hasNextPage ? pageInfo.endCursor : null, problem, isLoading: false };
    });
  };
  useEffect(() => {
    void read(null);
    return () => void turn.current++;
    // `read` is that of the search.
  }, [search]);
  return { list, more: () => void read(list.next), again: () => void read(null) };
}

function Row({ row, isCurrent }: { row: CommandRow; isCurrent: boolean }) {
  const link = useRef<HTMLAnchorElement>(null);
  useEffect(() => {
    if (isCurrent) link.current?.focus();
  }, [isCurrent]);
  return (
    <tr>
      <td className="command-name">
        <Link ref={link} to="/commands/$commandId" params={{ commandId: row.id }}>
          {row.name}
        </Link>
        {row.isPrivate && <span className="chip chip-soft">private</span>}
        {row.description && <p className="soft small command-text">{row.description}</p>}
      </td>
      <td>{kindOf(row.kind)}</td>
      <td className="only-wide-cell">{row.queue}</td>
      <td className="only-wide-cell">{row.profile?.name ?? <span className="soft">none</span>}</td>
      <td className="command-age">
        <Age at={row.updatedAt} />
      </td>
    </tr>
  );
}

export function CommandsPage() {
  const { q } = route.useSearch();
  const navigate = useNavigate();
  const canCreate = useCan('commandCreate');
  const [typed, setTyped] = useState(q ?? '');
  const [current, setCurrent] = useState(-1);
  const field = useRef<HTMLInputElement>(null);
  const { list, more, again } = useCommands(q);
  const move = (by: number) => setCurrent((at) => Math.max(0, Math.min(at + by, list.rows.length - 1)));
  useKeys({
    '/': () => field.current?.focus(),
    j: () => move(1),
    k: () => move(-1),
    o: () => list.rows[current] && void navigate({ to: '/commands/$commandId', params: { commandId: list.rows[current].id } }),
  });
  useEffect(() => {
    document.title = 'Commands · Callboard';
  }, []);
  // Going back shows the search of then.
  useEffect(() => setTyped((before) => (before.trim() === (q ?? '') ? before : (q ?? ''))), [q]);
  useEffect(() => {
    if (typed.trim() === (q ?? '')) return;
    const timer = setTimeout(() => void navigate({ to: '/commands', search: typed.trim() ? { q: typed.trim() } : {}, replace: true }), 200);
    return () => clearTimeout(timer);
  }, [typed]);
  const count = list.count === null ? '' : `${list.count.toLocaleString('en')} ${list.count === 1 ? 'command' : 'commands'}`;
  return (
    <div className="page">
      <div className="page-head">
        <h1>Commands</h1>
        <span className="soft" role="status">
          {count}
        </span>
        <a className="push small" href={playgroundUrl(Commands, { search: q ?? null, first: PAGE, after: null })}>
          Show the query
        </a>
        {canCreate && (
          <Link className="button" to="/compose" search={{ draft: 'program' }}>
            New command
          </Link>
        )}
      </div>
      <input ref={field} className="command-search" type="search" aria-label="Part of the name" placeholder="Part of the name" value={typed} onChange={({ target }) => setTyped(target.value)} spellCheck={false} />
      {list.problem && <ProblemBanner problem={list.problem} again={again} />}
      {list.isLoading && <Loading what="the commands" />}
      {!list.isLoading && !list.problem && list.rows.length === 0 && (
        <Empty title={q ? 'No command matches' : 'There are no commands yet'}>
          {q ? (
            <button type="button" onClick={() => setTyped('')}>
              Clear the search
            </button>
          ) : (
            <p>{canCreate ? 'Compose one: a program, an HTTP request or a Playwright script.' : 'An ADMIN can make one.'}</p>
          )}
        </Empty>
      )}
      {list.rows.length > 0 && (
        <div className="scroll">
          <table className="plain" aria-label="Commands">
            <thead>
              <tr>
                <th scope="col">Name</th>
                <th scope="col">Kind</th>
                <th scope="col" className="only-wide-cell">Queue</th>
                <th scope="col" className="only-wide-cell">Profile</th>
                <th scope="col">Changed</th>
              </tr>
            </thead>
            <tbody>
              {list.rows.map((row, index) => (
                <Row key={row.id} row={row} isCurrent={index === current} />
              ))}
            </tbody>
          </table>
        </div>
      )}
      {list.next && (
        <button type="button" className="command-more" onClick={more}>
          <Icon name="down" />
          {`Show more, ${list.rows.length} of ${list.count ?? 'more'} are here`}
        </button>
      )}
    </div>
  );
}
