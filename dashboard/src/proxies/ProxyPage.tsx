import { getRouteApi, Link } from '@tanstack/react-router';
import { useAsk } from '../api/ask';
import { useJobsTouched } from '../api/useJobsTouched';
import { useCan } from '../app/session';
import { ObjectPage } from '../catalog/ObjectPage';
import { Fact, Health, LimitBars, Section } from '../catalog/parts';
import { ProfilesOf } from '../catalog/ProfilesOf';
import { Time } from '../ui/Time';
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
  const { data, ...asked } = useAsk(ProxyPageQuery, { id });
  const mayCheck = useCan('proxyCheck');
  useJobsTouched({ proxyIds: [id] }, asked.again);
  return (
    <ObjectPage
      kind="proxy"
      id={id}
      query={ProxyPageQuery}
      asked={asked}
      thing={data?.proxy ?? null}
      acts={(proxy) => mayCheck && <CheckButton proxy={proxy} again={() => void asked.again()} />}
      form={(proxy, close, onSaved) => <ProxyForm proxy={proxy} onClose={close} onSaved={onSaved} />}
      deletion={ProxyDelete}
      lost="Its user name and password are deleted with it."
    >
      {(proxy) => (
        <>
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
              <ProfilesOf profiles={proxy.profiles} />
            </Section>
            <Section title="Limits">
              {proxy.usage.length > 0 ? <LimitBars usage={proxy.usage} rateLimits={proxy.rateLimits} /> : <p className="soft">None are declared.</p>}
            </Section>
          </div>
        </>
      )}
    </ObjectPage>
  );
}
