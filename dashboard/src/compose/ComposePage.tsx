import { getRouteApi, Link, useNavigate } from '@tanstack/react-router';
import { useEffect, useRef } from 'react';
import { useAsk } from '../api/ask';
import { useCan } from '../app/session';
import type { Draft } from '../form/draft';
import { Empty, Loading, ProblemBanner } from '../ui/parts';
import '../styles/form.css';
import { Composer } from './Composer';
import { ComposeCommand } from './documents';
import { Pick } from './Pick';
import { KIND_NAMES, KINDS } from './specs';

const route = getRouteApi('/shell/compose');

export function ComposePage() {
  const search = route.useSearch();
  const navigate = useNavigate();
  const canPreview = useCan('commandPreview');
  const handed = useRef<Draft | null>(null);
  const { command: commandId, draft, profile } = search;
  const { data, problem, isLoading, again } = useAsk(ComposeCommand, commandId ? { id: commandId } : null);
  const command = commandId ? (data?.command ?? null) : null;
  useEffect(() => {
    document.title = `Compose${command ? ` ${command.name}` : ''} · Callboard`;
  }, [command]);
  const open = (next: { command?: string; draft?: (typeof KINDS)[number] }) => {
    handed.current = null;
    void navigate({ to: '/compose', search: { ...next, ...(profile ? { profile } : {}) } });
  };
  const subject = command ? { command } : draft ? { kind: draft } : null;
  return (
    <div className="page compose">
      <div className="page-head">
        <h1>Compose</h1>
        {command && (
          <Link to="/commands/$commandId" params={{ commandId: command.id }}>
            {`Open ${command.name}`}
          </Link>
        )}
      </div>
      {problem && <ProblemBanner problem={problem} again={() => void again()} />}
      <section className="step" aria-label="Command">
        <h2>1. Command</h2>
        <div className="form-columns">
          <Pick of="commands" label="A saved command" none="Choose…" value={commandId} path={['commandId']} onChange={(id) => open(id ? { command: id } : {})} />
          <div className="form-field" role="group" aria-label="Or a new one">
            <span aria-hidden="true">or a new one</span>
            <div className="kinds">
              {KINDS.map((kind) => (
                <button key={kind} type="button" aria-pressed={draft === kind} onClick={() => open({ draft: kind })}>
                  {KIND_NAMES[kind]}
                </button>
              ))}
            </div>
          </div>
        </div>
        {command?.description && <p className="soft">{command.description}</p>}
      </section>
      {commandId && isLoading && <Loading what="the command" />}
      {commandId && !isLoading && !command && !problem && (
        <Empty title="There is no such command">
          <p>It may have been deleted. Choose another one above.</p>
        </Empty>
      )}
      {!commandId && !draft && (
        <Empty title="Choose a command">
          <p>Choose a saved command to run it, or write a new one. The preview shows what would run before anything does.</p>
        </Empty>
      )}
      {subject && canPreview && (
        <Composer
          key={commandId ?? draft}
          subject={subject}
          profile={profile}
          handed={handed.current}
          onSaved={(id, input) => {
            handed.current = input;
            void navigate({ to: '/compose', search: { command: id, ...(profile ? { profile } : {}) } });
          }}
        />
      )}
    </div>
  );
}
