import { getRouteApi, useNavigate } from '@tanstack/react-router';
import { useState } from 'react';
import { useAsk } from '../api/ask';
import { playgroundUrl } from '../app/playground';
import { useCan } from '../app/session';
import { Paging, useTitle } from '../catalog/parts';
import { ConfirmDialog } from '../forms/ConfirmDialog';
import { Empty, Loading, ProblemBanner } from '../ui/parts';
import { Age, Time, useNow } from '../ui/Time';
import { tell } from '../ui/Toast';
import { ApiKeyRevoke, ApiKeys, type ApiKey } from './documents';
import { KeyForm } from './KeyForm';

const route = getRouteApi('/shell/keys');
const PAGE = 50;

function State({ apiKey }: { apiKey: ApiKey }) {
  const now = useNow();
  if (apiKey.revokedAt) {
    return (
      <span className="soft">
        {'revoked '}
        <Time at={apiKey.revokedAt} />
      </span>
    );
  }
  if (!apiKey.expiresAt) return 'holds';
  const isOver = Date.parse(apiKey.expiresAt) <= now;
  return (
    <span className={isOver ? 'mistake' : undefined}>
      {isOver ? 'expired ' : 'holds until '}
      <Time at={apiKey.expiresAt} />
    </span>
  );
}

function Table({ keys, onRevoke }: { keys: readonly ApiKey[]; onRevoke: ((key: ApiKey) => void) | null }) {
  return (
    <div className="scroll" tabIndex={0} role="region" aria-label="Keys">
      <table className="plain">
        <thead>
          <tr>
            {['Name', 'Role', 'State', 'Last used', 'Created', ...(onRevoke ? ['Revoke'] : [])].map((title) => (
              <th key={title} scope="col">
                {title}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {keys.map((apiKey) => (
            <tr key={apiKey.id} data-key={apiKey.id}>
              <th scope="row">{apiKey.name}</th>
              <td>{apiKey.role}</td>
              <td>
                <State apiKey={apiKey} />
              </td>
              <td>
                {apiKey.lastUsedAt ? (
                  <>
                    <Age at={apiKey.lastUsedAt} /> ago
                  </>
                ) : (
                  <span className="soft">never</span>
                )}
              </td>
              <td>
                <Time at={apiKey.createdAt} />
              </td>
              {onRevoke && (
                <td>
                  {!apiKey.revokedAt && (
                    <button type="button" aria-label={`Revoke ${apiKey.name}`} onClick={() => onRevoke(apiKey)}>
                      Revoke
                    </button>
                  )}
                </td>
              )}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

export function KeysPage() {
  const { after } = route.useSearch();
  const navigate = useNavigate();
  const variables = { first: PAGE, after: after ?? null };
  const { data, problem, isLoading, again } = useAsk(ApiKeys, variables);
  const [isCreating, setCreating] = useState(false);
  const [revoked, setRevoked] = useState<ApiKey | null>(null);
  const mayCreate = useCan('apiKeyCreate');
  const mayRevoke = useCan('apiKeyRevoke');
  useTitle('Keys');
  const found = data?.apiKeys;
  return (
    <div className="page">
      <div className="page-head">
        <h1>Keys</h1>
        <span className="push acts">
          <a className="small" href={playgroundUrl(ApiKeys, variables)}>
            Show the query
          </a>
          {mayCreate && (
            <button type="button" className="primary" onClick={() => setCreating(true)}>
              New key
            </button>
          )}
        </span>
      </div>
      <p className="soft">Each person and program gets a key of their own, so that the audit has names and a key can be revoked alone.</p>
      {problem && <ProblemBanner problem={problem} again={() => void again()} />}
      {isLoading && <Loading what="the keys" />}
      {found && found.nodes.length === 0 && (
        <Empty title="There are no keys yet">
          <p>You are signed in with the key of the configuration. Create a key for each person above.</p>
        </Empty>
      )}
      {found && found.nodes.length > 0 && <Table keys={found.nodes} onRevoke={mayRevoke ? setRevoked : null} />}
      {found && <Paging page={found.pageInfo} after={after} onAfter={(next) => void navigate({ to: '/keys', search: { after: next } })} />}
      {isCreating && <KeyForm onCreated={() => void again()} onClose={() => setCreating(false)} />}
      {revoked && (
        <ConfirmDialog
          title={`Revoke ${revoked.name}`}
          act="Revoke the key"
          word={revoked.name}
          document={ApiKeyRevoke}
          variables={{ input: { id: revoked.id } }}
          onDone={() => (setRevoked(null), tell('The key is revoked.'), void again())}
          onClose={() => setRevoked(null)}
        >
          <p>Within a second its requests are refused, and its sessions and sockets end. It cannot be given back.</p>
        </ConfirmDialog>
      )}
    </div>
  );
}
