import { getRouteApi, Link, useNavigate } from '@tanstack/react-router';
import { useState } from 'react';
import { useAsk } from '../api/ask';
import { useJobsTouched } from '../api/useJobsTouched';
import { playgroundUrl } from '../app/playground';
import { useCan } from '../app/session';
import { focusSearch, Health, Paging, SearchBox, useTitle } from '../catalog/parts';
import type { CatalogSearch } from '../catalog/search';
import { useKeys } from '../ui/keys';
import { Empty, Loading, ProblemBanner } from '../ui/parts';
import { Age } from '../ui/Time';
import { Proxies, type ProxyOfRow } from './documents';
import { ProxyForm } from './ProxyForm';
import { CheckButton, ImportForm } from './ProxyParts';

const route = getRouteApi('/shell/proxies');
const PAGE = 50;

function Table({ proxies, again }: { proxies: readonly ProxyOfRow[]; again(): void }) {
  const mayCheck = useCan('proxyCheck');
  const titles = ['Name', 'Health', 'Address', 'Exit', 'Checked', 'Jobs at once', ...(mayCheck ? ['Check'] : [])];
  return (
    <div className="scroll" tabIndex={0} role="region" aria-label="Proxies">
      <table className="plain">
        <thead>
          <tr>
            {titles.map((title) => (
              <th key={title} scope="col">
                {title}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {proxies.map((proxy) => (
            <tr key={proxy.id} data-proxy={proxy.id}>
              <th scope="row">
                <Link to="/proxies/$proxyId" params={{ proxyId: proxy.id }}>
                  {proxy.name}
                </Link>
              </th>
              <td>
                <Health health={proxy.health} />
              </td>
              <td className="mono">{`${proxy.protocol.toLowerCase()}://${proxy.address}`}</td>
              <td className="mono">{proxy.health.exitAddress ?? <span className="soft">not known</span>}</td>
              <td>
                {proxy.health.checkedAt ? (
                  <>
                    <Age at={proxy.health.checkedAt} /> ago
                  </>
                ) : (
                  <span className="soft">never</span>
                )}
              </td>
              <td>{proxy.maxConcurrency ?? 'no limit'}</td>
              {mayCheck && (
                <td>
                  <CheckButton proxy={proxy} again={again} />
                </td>
              )}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

export function ProxiesPage() {
  const search = route.useSearch();
  const navigate = useNavigate();
  const variables = { search: search.q ?? null, first: PAGE, after: search.after ?? null };
  const { data, problem, isLoading, again } = useAsk(Proxies, variables);
  const [opened, setOpened] = useState<'create' | 'import' | null>(null);
  const mayCreate = useCan('proxyCreate');
  const mayImport = useCan('proxyImport');
  // An attempt that cannot reach its proxy makes it cool down.
  useJobsTouched({ states: ['RUNNING'] }, again);
  useTitle('Proxies');
  useKeys({ '/': focusSearch });
  const found = data?.proxies;
  const go = (next: CatalogSearch) => void navigate({ to: '/proxies', search: next });
  const open = (proxyId: string) => void navigate({ to: '/proxies/$proxyId', params: { proxyId } });
  return (
    <div className="page">
      <div className="page-head">
        <h1>Proxies</h1>
        <span className="soft" role="status">
          {found && typeof found.totalCount === 'number' ? `${found.totalCount.toLocaleString('en')} in all` : ''}
        </span>
        <span className="push acts">
          <a className="small" href={playgroundUrl(Proxies, variables)}>
            Show the query
          </a>
          {mayImport && (
            <button type="button" onClick={() => setOpened('import')}>
              Import a link
            </button>
          )}
          {mayCreate && (
            <button type="button" className="primary" onClick={() => setOpened('create')}>
              New proxy
            </button>
          )}
        </span>
      </div>
      <div className="filters-line">
        <SearchBox label="Part of a proxy's name" value={search.q} onChange={(q) => go({ q })} />
      </div>
      {problem && <ProblemBanner problem={problem} again={() => void again()} />}
      {isLoading && <Loading what="the proxies" lines={10} />}
      {found && found.nodes.length === 0 && (
        <Empty title={search.q ? 'No proxy has this in its name' : 'There are no proxies yet'}>
          {search.q ? (
            <button type="button" onClick={() => go({})}>
              Clear the search
            </button>
          ) : (
            <p>Jobs reach the network through a proxy. {mayCreate ? 'Create the first one above, or import a share link.' : 'An ADMIN can create one.'}</p>
          )}
        </Empty>
      )}
      {found && found.nodes.length > 0 && <Table proxies={found.nodes} again={() => void again()} />}
      {found && <Paging page={found.pageInfo} after={search.after} onAfter={(after) => go({ ...search, after })} />}
      {opened === 'create' && <ProxyForm proxy={null} onClose={() => setOpened(null)} onSaved={open} />}
      {opened === 'import' && <ImportForm onClose={() => setOpened(null)} onSaved={open} />}
    </div>
  );
}
