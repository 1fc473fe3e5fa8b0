import { getRouteApi, Link, useNavigate } from '@tanstack/react-router';
import { useState } from 'react';
import { useAsk } from '../api/ask';
import { useJobsTouched } from '../api/useJobsTouched';
import { playgroundUrl } from '../app/playground';
import { useCan } from '../app/session';
import { Fact, Health, LimitBars, Section, useTitle } from '../catalog/parts';
import { ConfirmDialog } from '../forms/ConfirmDialog';
import { Empty, Loading, ProblemBanner } from '../ui/parts';
import { Time } from '../ui/Time';
import { tell } from '../ui/Toast';
import { ProxyDelete, ProxyPageQuery, type ProxyOfPage } from './documents';
import { ProxyForm } from './ProxyForm';
import { CheckButton } from './ProxyParts';

const route = getRouteApi('/shell/proxies/$proxyId');

function Facts({ proxy }: { proxy: ProxyOfPage }) {
  const { health } = proxy;
  return (
    <dl className="facts">
      <Fact name="Health">
        <Health health={health} />
      </Fact>
      <Fact name="Exit">{health.exitAddress ?? <span className="soft">not known</span>}</Fact>
      <Fact name="Checked">{health.checkedAt ? <Time at={health.checkedAt} /> : <span className="soft">never</span>}</Fact>
      <Fact name="Address">
        <span className="mono">{`${proxy.protocol.toLowerCase()}://${proxy.address}`}</span>
      </Fact>
      <Fact name="User name and password">{proxy.hasCredentials ? 'set' : 'none'}</Fact>
      <Fact name="Jobs at once">{proxy.maxConcurrency ?? 'no limit'}</Fact>
      <Fact name="Changed">
        <Time at={proxy.updatedAt} />
        <span className="soft">{`, version ${proxy.version}`}</span>
      </Fact>
    </dl>
  );
}

export function ProxyPage() {
  const { proxyId: id } = route.useParams();
  const navigate = useNavigate();
  const { data, problem, isLoading, again } = useAsk(ProxyPageQuery, { id });
  const [opened, setOpened] = useState<'edit' | 'delete' | null>(null);
  const mayCheck = useCan('proxyCheck');
  const mayEdit = useCan('proxyUpdate');
  const mayDelete = useCan('proxyDelete');
  const proxy = data?.proxy ?? null;
  useJobsTouched({ proxyIds: [id] }, again);
  useTitle(proxy?.name ?? 'Proxy');
  if (isLoading) return <Loading what="the proxy" lines={10} />;
  return (
    <div className="page">
      {problem && <ProblemBanner problem={problem} again={() => void again()} />}
      {!proxy && !problem && (
        <Empty title="There is no such proxy">
          <p>It may have been deleted, or the address is not whole.</p>
          <Link to="/proxies">Open the proxies</Link>
        </Empty>
      )}
      {proxy && (
        <>
          <div className="page-head">
            <h1 className="job-title">
              <Link to="/proxies">Proxies</Link>
              <span className="soft"> / </span>
              {proxy.name}
            </h1>
            <span className="push acts">
              <a className="small" href={playgroundUrl(ProxyPageQuery, { id })}>
                Show the query
              </a>
              {mayCheck && <CheckButton proxy={proxy} again={() => void again()} />}
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
          {proxy.health.failure && <p className="job-failure">{proxy.health.failure}</p>}
          <Facts proxy={proxy} />
          <div className="columns">
            <Section
              title="Profiles that list it"
              acts={
                <Link to="/jobs" search={{ proxy: [id] }}>
                  All its jobs
                </Link>
              }
            >
              {proxy.profiles.nodes.length === 0 ? (
                <p className="soft">No profile lists it.</p>
              ) : (
                <p className="item-chips">
                  {proxy.profiles.nodes.map((profile) => (
                    <Link key={profile.id} className="chip" to="/profiles/$profileId" params={{ profileId: profile.id }}>
                      {profile.name}
                    </Link>
                  ))}
                  {proxy.profiles.pageInfo.hasNextPage && <span className="soft">and more</span>}
                </p>
              )}
            </Section>
            <Section title="Limits">
              {proxy.usage.length > 0 ? <LimitBars usage={proxy.usage} rateLimits={proxy.rateLimits} /> : <p className="soft">None are declared.</p>}
            </Section>
          </div>
          {opened === 'edit' && mayEdit && <ProxyForm proxy={proxy} onClose={() => setOpened(null)} onSaved={() => (setOpened(null), void again())} />}
          {opened === 'delete' && mayDelete && (
            <ConfirmDialog
              title={`Delete ${proxy.name}`}
              act="Delete the proxy"
              word={proxy.name}
              document={ProxyDelete}
              variables={{ input: { id, version: proxy.version } }}
              onDone={() => (tell('The proxy is deleted.'), void navigate({ to: '/proxies' }))}
              onClose={() => setOpened(null)}
            >
              <p>Its user name and password are deleted with it.</p>
            </ConfirmDialog>
          )}
        </>
      )}
    </div>
  );
}
