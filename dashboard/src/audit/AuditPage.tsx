import { getRouteApi, Link, useNavigate } from '@tanstack/react-router';
import { useEffect, useState, type FormEvent } from 'react';
import { useAsk } from '../api/ask';
import { playgroundUrl } from '../app/playground';
import { useSession } from '../app/session';
import { Paging, useTitle } from '../catalog/parts';
import { SelectField, TextField } from '../forms/Fields';
import { graphql, type ResultOf } from '../graphql';
import { Empty, Loading, ProblemBanner } from '../ui/parts';
import { Time, useZone } from '../ui/Time';
import { dateTime, instantOf } from '../ui/time';
import { filterOf, type AuditSearch } from './search';

const route = getRouteApi('/shell/audit');
const PAGE = 50;

const AuditEvents = graphql(`
  query AuditEvents($filter: AuditFilter, $first: Int!, $after: String) {
    auditEvents(filter: $filter, first: $first, after: $after) {
      nodes {
        id
        at
        actor
        role
        address
        transport
        action
        outcome
        objectKind
        objectName
        objectIds
        count
        message
        before
        after
      }
      pageInfo {
        hasNextPage
        endCursor
      }
    }
  }
`);

type Entry = ResultOf<typeof AuditEvents>['auditEvents']['nodes'][number];

function Filters({ search, onChange }: { search: AuditSearch; onChange(search: AuditSearch): void }) {
  const zone = useZone();
  const session = useSession();
  const inZone = (at: string | undefined) => (at ? dateTime(at, zone).replace(' ', 'T').slice(0, 16) : '');
  const read = () => ({ ...search, from: inZone(search.from), to: inZone(search.to) });
  const [typed, setTyped] = useState<Record<string, string | undefined>>(read);
  const key = JSON.stringify([search, zone]);
  useEffect(() => setTyped(read()), [key]);
  const set = (name: keyof AuditSearch) => (value: string) => setTyped((before) => ({ ...before, [name]: value }));
  const submit = (event: FormEvent) => {
    event.preventDefault();
    const { actor, action, objectId, outcome } = typed;
    onChange({
      ...(actor?.trim() && { actor: actor.trim() }),
      ...(action?.trim() && { action: action.trim() }),
      ...(objectId?.trim() && { objectId: objectId.trim() }),
      ...((outcome === 'DONE' || outcome === 'REFUSED') && { outcome }),
      from: instantOf(typed.from ?? '', zone) ?? undefined,
      to: instantOf(typed.to ?? '', zone) ?? undefined,
    });
  };
  const actions = session.state === 'signed-in' ? ['', 'signIn', ...session.can] : [''];
  const shown = typed.action && !actions.includes(typed.action) ? [...actions, typed.action] : actions;
  return (
    <form className="audit-filters" onSubmit={submit}>
      <TextField label="Name of the key" value={typed.actor ?? ''} onChange={set('actor')} />
      <SelectField label="Action" value={typed.action ?? ''} onChange={set('action')} options={shown.map((one) => [one, one || 'any'] as const)} />
      <SelectField label="Outcome" value={typed.outcome ?? ''} onChange={set('outcome')} options={[['', 'any'], ['DONE', 'done'], ['REFUSED', 'refused']]} />
      <TextField label="Id of the object" value={typed.objectId ?? ''} onChange={set('objectId')} />
      <TextField label="From" type="datetime-local" value={typed.from ?? ''} onChange={set('from')} />
      <TextField label="Before" type="datetime-local" value={typed.to ?? ''} onChange={set('to')} />
      <span className="acts">
        <button type="submit" className="primary">
          Filter
        </button>
        <button type="button" className="quiet" onClick={() => onChange({})}>
          Clear
        </button>
      </span>
    </form>
  );
}

/** What was changed, opened by hand. */
function Changes({ entry }: { entry: Entry }) {
  if (entry.before === null && entry.after === null) return null;
  const text = (value: unknown) => JSON.stringify(value, null, 2);
  return (
    <details className="changes">
      <summary>What was changed</summary>
      {entry.before !== null && <pre aria-label="Before">{`before ${text(entry.before)}`}</pre>}
      {entry.after !== null && <pre aria-label="After">{`after ${text(entry.after)}`}</pre>}
    </details>
  );
}

function Row({ entry }: { entry: Entry }) {
  const [first] = entry.objectIds;
  return (
    <tr data-audit={entry.id}>
      <td>
        <Time at={entry.at} />
      </td>
      <td>
        {entry.action}
        {entry.count > 1 && <span className="soft">{` ${entry.count} times or objects`}</span>}
      </td>
      <td className={entry.outcome === 'REFUSED' ? 'mistake' : undefined}>{entry.outcome === 'REFUSED' ? 'refused' : 'done'}</td>
      <td>
        {entry.actor ?? <span className="soft">nobody</span>}
        <span className="soft">{[entry.role, entry.address].filter(Boolean).map((text) => ` ${text}`).join(',')}</span>
      </td>
      <td className="wide">
        {[entry.objectKind, entry.objectName].filter(Boolean).join(' ')}
        {first && (
          <Link className="mono audit-id" to="/audit" search={{ objectId: first }}>
            {first}
          </Link>
        )}
      </td>
      <td className="wide">
        {entry.message}
        <Changes entry={entry} />
      </td>
    </tr>
  );
}

export function AuditPage() {
  const search = route.useSearch();
  const navigate = useNavigate();
  const variables = { filter: filterOf(search), first: PAGE, after: search.after ?? null };
  const { data, problem, isLoading, again } = useAsk(AuditEvents, variables);
  useTitle('Audit');
  const found = data?.auditEvents;
  const go = (next: AuditSearch) => void navigate({ to: '/audit', search: next });
  return (
    <div className="page">
      <div className="page-head">
        <h1>Audit</h1>
        <span className="push acts">
          <a className="small" href={playgroundUrl(AuditEvents, variables)}>
            Show the query
          </a>
          <button type="button" onClick={() => void again()}>
            Read again
          </button>
        </span>
      </div>
      <Filters search={search} onChange={go} />
      {problem && <ProblemBanner problem={problem} again={() => void again()} />}
      {isLoading && <Loading what="the audit" lines={10} />}
      {found && found.nodes.length === 0 && (
        <Empty title="No entry matches">
          <button type="button" onClick={() => go({})}>
            Clear the filters
          </button>
        </Empty>
      )}
      {found && found.nodes.length > 0 && (
        <div className="scroll audit" tabIndex={0} role="region" aria-label="Entries">
          <table className="plain">
            <thead>
              <tr>
                {['Time', 'Action', 'Outcome', 'Who', 'Object', 'Message and changes'].map((title) => (
                  <th key={title} scope="col">
                    {title}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {found.nodes.map((entry) => (
                <Row key={entry.id} entry={entry} />
              ))}
            </tbody>
          </table>
        </div>
      )}
      {found && <Paging page={found.pageInfo} after={search.after} first="Newest" next="Older" onAfter={(after) => go({ ...search, after })} />}
    </div>
  );
}
