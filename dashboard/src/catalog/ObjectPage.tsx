// The page of one object of the catalogue: what it is, what may be done with it, and its parts.
import { Link, useNavigate } from '@tanstack/react-router';
import type { TypedDocumentNode } from '@urql/core';
import { useState, type ReactNode } from 'react';
import type { Problem } from '../api/ask';
import { playgroundUrl } from '../app/playground';
import { useCan } from '../app/session';
import { ConfirmDialog } from '../forms/ConfirmDialog';
import type { Refusal } from '../forms/refusals';
import { Empty, Loading, ProblemBanner } from '../ui/parts';
import { tell } from '../ui/Toast';
import { useTitle } from './parts';

const KINDS = {
  profile: { one: 'Profile', many: 'Profiles', path: '/profiles' },
  proxy: { one: 'Proxy', many: 'Proxies', path: '/proxies' },
  service: { one: 'Service', many: 'Services', path: '/services' },
} as const;

interface Named {
  name: string;
  version: number;
}

interface Props<Asked, Thing extends Named, Deleted> {
  kind: keyof typeof KINDS;
  id: string;
  /** What the page has asked, and what came of it. */
  query: TypedDocumentNode<Asked, { id: string }>;
  asked: { problem: Problem | null; isLoading: boolean; again(): Promise<void> };
  thing: Thing | null;
  /** What else may be done, before Edit and Delete. */
  acts?(thing: Thing): ReactNode;
  form(thing: Thing, close: () => void, onSaved: () => void): ReactNode;
  deletion: TypedDocumentNode<Deleted, { input: { id: string; version?: number | null } }>;
  /** What deleting it means. */
  lost: string;
  children(thing: Thing): ReactNode;
}

export function ObjectPage<Asked, Thing extends Named, Deleted extends Record<string, { userErrors: readonly Refusal[] } | null>>({
  kind,
  id,
  query,
  asked: { problem, isLoading, again },
  thing,
  acts,
  form,
  deletion,
  lost,
  children,
}: Props<Asked, Thing, Deleted>) {
  const { one, many, path } = KINDS[kind];
  const navigate = useNavigate();
  const [opened, setOpened] = useState<'edit' | 'delete' | null>(null);
  const mayEdit = useCan(`${kind}Update`);
  const mayDelete = useCan(`${kind}Delete`);
  const close = () => setOpened(null);
  useTitle(thing?.name ?? one);
  if (isLoading) return <Loading what={`the ${kind}`} lines={10} />;
  return (
    <div className="page">
      {problem && <ProblemBanner problem={problem} again={() => void again()} />}
      {!thing && !problem && (
        <Empty title={`There is no such ${kind}`}>
          <p>It may have been deleted, or the address is not whole.</p>
          <Link to={path}>{`Open the ${many.toLowerCase()}`}</Link>
        </Empty>
      )}
      {thing && (
        <>
          <div className="page-head">
            <h1 className="job-title">
              <Link to={path}>{many}</Link>
              <span className="soft"> / </span>
              {thing.name}
            </h1>
            <span className="push acts">
              <a className="small" href={playgroundUrl(query, { id })}>
                Show the query
              </a>
              {acts?.(thing)}
              {mayEdit && (
                <button type="button" onClick={() => setOpened('edit')}>
                  Edit
                </button>
              )}
              {mayDelete && (
                <button type="button" onClick={() => setOpened('delete')}>
                  Delete
                </button>
              )}
            </span>
          </div>
          {children(thing)}
          {opened === 'edit' && mayEdit && form(thing, close, () => (close(), void again()))}
          {opened === 'delete' && mayDelete && (
            <ConfirmDialog
              title={`Delete ${thing.name}`}
              act={`Delete the ${kind}`}
              word={thing.name}
              document={deletion}
              variables={{ input: { id, version: thing.version } }}
              onDone={() => (tell(`The ${kind} is deleted.`), void navigate({ to: path }))}
              onClose={close}
            >
              <p>{lost}</p>
            </ConfirmDialog>
          )}
        </>
      )}
    </div>
  );
}
