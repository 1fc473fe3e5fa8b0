import { getRouteApi, Link } from '@tanstack/react-router';
import { useState } from 'react';
import { useAsk } from '../api/ask';
import { useJobsTouched } from '../api/useJobsTouched';
import { useCan } from '../app/session';
import { ObjectPage } from '../catalog/ObjectPage';
import { Fact, Hint, LimitBars, Section } from '../catalog/parts';
import { ProfilesOf } from '../catalog/ProfilesOf';
import { Time } from '../ui/Time';
import { ServiceDelete, ServicePageQuery, type ServiceOfPage } from './documents';
import { ServiceForm } from './ServiceForm';
import { Suspended, TokenForm } from './ServiceParts';

const route = getRouteApi('/shell/services/$serviceId');

function Facts({ service }: { service: ServiceOfPage }) {
  return (
    <dl className="facts">
      <Fact name="Token">
        <Hint secret={service.token} />
        {service.token.updatedAt && (
          <span className="soft">
            {', set '}
            <Time at={service.token.updatedAt} />
          </span>
        )}
      </Fact>
      <Fact name="Base URL">{service.baseUrl ?? <span className="soft">none</span>}</Fact>
      <Fact name="Further hosts of the token">{service.tokenHosts.join(', ') || <span className="soft">none</span>}</Fact>
      <Fact name="Jobs at once">{service.maxConcurrency ?? 'no limit'}</Fact>
      <Fact name="Changed">
        <Time at={service.updatedAt} />
        <span className="soft">{`, version ${service.version}`}</span>
      </Fact>
    </dl>
  );
}

function Consumers({ service }: { service: ServiceOfPage }) {
  if (service.consumers.length === 0) return <p className="soft">Nothing has used it this month.</p>;
  return (
    <ul className="item-list">
      {service.consumers.map(({ command, profile, consumption }, at) => (
        <li key={at}>
          <span>{[command?.name ?? 'deleted command', profile && `on ${profile.name}`].filter(Boolean).join(' ')}</span>
          <span className="soft">{`${consumption.thisMonth.attempts.toLocaleString('en')} attempts`}</span>
        </li>
      ))}
    </ul>
  );
}

export function ServicePage() {
  const { serviceId: id } = route.useParams();
  const { data, ...asked } = useAsk(ServicePageQuery, { id });
  const [isReplacing, setReplacing] = useState(false);
  const mayRefresh = useCan('serviceTokenRefresh');
  const again = () => void asked.again();
  useJobsTouched({ serviceIds: [id] }, asked.again);
  return (
    <ObjectPage
      kind="service"
      id={id}
      query={ServicePageQuery}
      asked={asked}
      thing={data?.service ?? null}
      acts={(service) =>
        mayRefresh && (
          <button type="button" onClick={() => setReplacing(true)}>
            {service.token.isSet ? 'Replace the token' : 'Set the token'}
          </button>
        )
      }
      form={(service, close, onSaved) => <ServiceForm service={service} onClose={close} onSaved={onSaved} />}
      deletion={ServiceDelete}
      lost="Its token is deleted with it. Templates that name it no longer compose."
    >
      {(service) => (
        <>
          <Suspended service={service} again={again} />
          <Facts service={service} />
          <div className="columns">
            <Section title="Limits">
              {service.usage.length > 0 ? <LimitBars usage={service.usage} rateLimits={service.rateLimits} /> : <p className="soft">None are declared or observed.</p>}
            </Section>
            <Section title="Profiles that use it">
              <ProfilesOf profiles={service.profiles} />
            </Section>
            <Section title="Used this month by">
              <Consumers service={service} />
            </Section>
            <Section
              title="Settings"
              acts={
                <span className="acts">
                  <Link to="/jobs" search={{ service: [id], state: ['QUEUED', 'SCHEDULED'] }}>
                    Its waiting jobs
                  </Link>
                  <Link to="/jobs" search={{ service: [id] }}>
                    All its jobs
                  </Link>
                </span>
              }
            >
              <pre className="new-key">{JSON.stringify(service.settings, null, 2)}</pre>
            </Section>
          </div>
          {isReplacing && mayRefresh && (
            <TokenForm service={service} onClose={() => setReplacing(false)} onSaved={() => (setReplacing(false), again())} />
          )}
        </>
      )}
    </ObjectPage>
  );
}
