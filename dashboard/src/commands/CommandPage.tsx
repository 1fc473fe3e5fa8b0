import { getRouteApi, Link, useNavigate } from '@tanstack/react-router';
import { lazy, Suspense, useEffect, useState } from 'react';
import { useAsk } from '../api/ask';
import { playgroundUrl } from '../app/playground';
import { useCan } from '../app/session';
import { Icon } from '../ui/Icon';
import { Empty, Loading, ProblemBanner } from '../ui/parts';
import { tell } from '../ui/Toast';
import '../styles/commands.css';
import '../styles/form.css';
import { DeleteDialog } from './DeleteDialog';
import { CommandPageQuery, type CommandOfPage } from './documents';
import { Overview } from './Overview';

const route = getRouteApi('/shell/commands/$commandId');
const Edit = lazy(() => import('./Edit').then((found) => ({ default: found.Edit })));

function Header({ command }: { command: CommandOfPage }) {
  const navigate = useNavigate();
  const canRun = useCan('jobEnqueue');
  const canDelete = useCan('commandDelete');
  const [isAsking, setAsking] = useState(false);
  return (
    <>
      <div className="page-head">
        <h1 className="job-title">
          <Link to="/commands">Commands</Link>
          <span className="soft"> / </span>
          {command.name}
        </h1>
        {command.isPrivate && <span className="chip chip-soft">private</span>}
        <span className="push job-acts">
          <a className="small" href={playgroundUrl(CommandPageQuery, { id: command.id })}>
            Show the query
          </a>
          <Link className="button" to="/jobs" search={{ command: [command.id] }}>
            <Icon name="jobs" /> Jobs
          </Link>
          {canDelete && (
            <button type="button" onClick={() => setAsking(true)}>
              Delete
            </button>
          )}
          <Link className="button" to="/compose" search={{ command: command.id }}>
            <Icon name="compose" /> {canRun ? 'Run' : 'Preview'}
          </Link>
        </span>
      </div>
      <p className="mono soft job-id">{command.id}</p>
      {isAsking && (
        <DeleteDialog
          command={command}
          onClose={() => setAsking(false)}
          onDeleted={() => {
            tell(`The command ${command.name} is deleted.`);
            void navigate({ to: '/commands' });
          }}
        />
      )}
    </>
  );
}

export function CommandPage() {
  const { commandId } = route.useParams();
  const { tab = 'overview' } = route.useSearch();
  const navigate = useNavigate();
  const canEdit = useCan('commandUpdate');
  const { data, problem, isLoading, again } = useAsk(CommandPageQuery, { id: commandId });
  const command = data?.command ?? null;
  const name = command?.name ?? 'Command';
  useEffect(() => {
    document.title = `${name} · Callboard`;
  }, [name]);
  if (isLoading) return <Loading what="the command" lines={10} />;
  return (
    <div className="page">
      {problem && <ProblemBanner problem={problem} again={() => void again()} />}
      {!command && (
        <h1>
          <Link to="/commands">Commands</Link>
        </h1>
      )}
      {!command && !problem && (
        <Empty title="There is no such command">
          <p>It may have been deleted, or the address is not whole.</p>
          <Link to="/commands">Open the commands</Link>
        </Empty>
      )}
      {command && (
        <>
          <Header command={command} />
          {canEdit && (
            <nav className="tabs" aria-label="Of this command">
              <Link className="tab" to="/commands/$commandId" params={{ commandId }} search={{}} activeOptions={{ exact: true, includeSearch: true }}>
                Overview
              </Link>
              <Link className="tab" to="/commands/$commandId" params={{ commandId }} search={{ tab: 'edit' }} activeOptions={{ exact: true, includeSearch: true }}>
                Edit
              </Link>
            </nav>
          )}
          {tab === 'edit' && canEdit ? (
            <Suspense fallback={<Loading what="the form" />}>
              <Edit
                command={command}
                onSaved={() => {
                  void again();
                  void navigate({ to: '/commands/$commandId', params: { commandId }, search: {} });
                }}
              />
            </Suspense>
          ) : (
            <Overview command={command} />
          )}
        </>
      )}
    </div>
  );
}
