import { getRouteApi, Link, useNavigate } from '@tanstack/react-router';
import { useState } from 'react';
import { useAsk } from '../api/ask';
import { useJobsTouched } from '../api/useJobsTouched';
import { playgroundUrl } from '../app/playground';
import { useCan } from '../app/session';
import { Fact, Hint, LimitBars, Section, useTitle } from '../catalog/parts';
import { ConfirmDialog } from '../forms/ConfirmDialog';
import { Empty, Loading, ProblemBanner } from '../ui/parts';
import { Time } from '../ui/Time';
import { tell } from '../ui/Toast';
import { ServiceDelete, ServicePageQuery, type ServiceOfPage } from './documents';
import { ServiceForm } from './ServiceForm';
import { ProfilesOf, Suspended, TokenForm } from './ServiceParts';

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
  const navigate = useNavigate();
  const { data, problem, isLoading, again } = useAsk(ServicePageQuery, { id });
  const [opened, setOpened] = useState<'edit' | 'token' | 'delete' | null>(null);
  const mayEdit = useCan('serviceUpdate');
  const mayRefresh = useCan('serviceTokenRefresh');
  const mayDelete = useCan('serviceDelete');
  const service = data?.service ?? null;
  useJobsTouched({ serviceIds: [id] }, again);
  useTitle(service?.name ?? 'Service');
  const settle = () => (setOpened(null), void again());
  if (isLoading) return <Loading what="the service" lines={10} />;
  return (
    <div className="page">
      {problem && <ProblemBanner problem={problem} again={() => void again()} />}
      {!service && !problem && (
        <Empty title="There is no such service">
          <p>It may have been deleted, or the address is not whole.</p>
          <Link to="/services">Open the services</Link>
        </Empty>
      )}
      {service && (
        <>
          <div className="page-head">
            <h1 className="job-title">
              <Link to="/services">Services</Link>
              <span className="soft"> / </span>
              {service.name}
            </h1>
            <span className="push acts">
              <a className="small" href={playgroundUrl(ServicePageQuery, { id })}>
                Show the query
              </a>
              {mayRefresh && (
                <button type="button" onClick={() => setOpened('token')}>
                  {service.token.isSet ? 'Replace the token' : 'Set the token'}
                </button>
              )}
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
          <Suspended service={service} again={() => void again()} />
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
          {opened === 'edit' && mayEdit && <ServiceForm service={service} onClose={() => setOpened(null)} onSaved={settle} />}
          {opened === 'token' && mayRefresh && <TokenForm service={service} onClose={() => setOpened(null)} onSaved={settle} />}
          {opened === 'delete' && mayDelete && (
            <ConfirmDialog
              title={`Delete ${service.name}`}
              act="Delete the service"
              word={service.name}
              document={ServiceDelete}
              variables={{ input: { id, version: service.version } }}
              onDone={() => (tell('The service is deleted.'), void navigate({ to: '/services' }))}
              onClose={() => setOpened(null)}
            >
              <p>Its token is deleted with it. Templates that name it no longer compose.</p>
            </ConfirmDialog>
          )}
        </>
      )}
    </div>
  );
}
