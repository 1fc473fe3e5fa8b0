import { getRouteApi, Link, useNavigate } from '@tanstack/react-router';
import { useState } from 'react';
import { useAsk } from '../api/ask';
import { useJobsTouched } from '../api/useJobsTouched';
import { playgroundUrl } from '../app/playground';
import { useCan } from '../app/session';
import { focusSearch, Hint, LimitBars, Paging, SearchBox, useTitle } from '../catalog/parts';
import { ProfilesOf } from '../catalog/ProfilesOf';
import type { CatalogSearch } from '../catalog/search';
import { useKeys } from '../ui/keys';
import { Empty, Loading, ProblemBanner } from '../ui/parts';
import { Services, type ServiceOfCard } from './documents';
import { ServiceForm } from './ServiceForm';
import { Suspended } from './ServiceParts';

const route = getRouteApi('/shell/services');
const PAGE = 24;

function Card({ service, again }: { service: ServiceOfCard; again(): void }) {
  return (
    <article className="item" data-service={service.id} aria-label={service.name}>
      <div className="item-head">
        <h2>
          <Link to="/services/$serviceId" params={{ serviceId: service.id }}>
            {service.name}
          </Link>
        </h2>
        <span>
          <span className="soft">Token </span>
          <Hint secret={service.token} />
        </span>
      </div>
      {service.baseUrl && <p className="mono soft cut">{service.baseUrl}</p>}
      <Suspended service={service} again={again} />
      <div className="item-part">
        <h3>Limits</h3>
        {service.usage.length > 0 ? <LimitBars usage={service.usage} rateLimits={service.rateLimits} /> : <p className="soft">None are declared or observed.</p>}
      </div>
      <div className="item-part">
        <h3>Profiles that use it</h3>
        <ProfilesOf profiles={service.profiles} />
      </div>
    </article>
  );
}

export function ServicesPage() {
  const search = route.useSearch();
  const navigate = useNavigate();
  const variables = { search: search.q ?? null, first: PAGE, after: search.after ?? null };
  const { data, problem, isLoading, again } = useAsk(Services, variables);
  const [isCreating, setCreating] = useState(false);
  const mayCreate = useCan('serviceCreate');
  // Starts take from the limits, and what ends may bring what a service reports.
  useJobsTouched({ states: ['RUNNING'] }, again);
  useTitle('Services');
  useKeys({ '/': focusSearch });
  const found = data?.services;
  const go = (next: CatalogSearch) => void navigate({ to: '/services', search: next });
  return (
    <div className="page">
      <div className="page-head">
        <h1>Services</h1>
        <span className="soft" role="status">
          {found && typeof found.totalCount === 'number' ? `${found.totalCount.toLocaleString('en')} in all` : ''}
        </span>
        <span className="push acts">
          <a className="small" href={playgroundUrl(Services, variables)}>
            Show the query
          </a>
          {mayCreate && (
            <button type="button" className="primary" onClick={() => setCreating(true)}>
              New service
            </button>
          )}
        </span>
      </div>
      <div className="filters-line">
        <SearchBox label="Part of a service's name" value={search.q} onChange={(q) => go({ q })} />
      </div>
      {problem && <ProblemBanner problem={problem} again={() => void again()} />}
      {isLoading && <Loading what="the services" lines={10} />}
      {found && found.nodes.length === 0 && (
        <Empty title={search.q ? 'No service has this in its name' : 'There are no services yet'}>
          {search.q ? (
            <button type="button" onClick={() => go({})}>
              Clear the search
            </button>
          ) : (
            <p>A service is something that jobs call, with its token and limits. {mayCreate ? 'Create the first one above.' : 'An ADMIN can create one.'}</p>
          )}
        </Empty>
      )}
      {found && (
        <div className="cards">
          {found.nodes.map((service) => (
            <Card key={service.id} service={service} again={() => void again()} />
          ))}
        </div>
      )}
      {found && <Paging page={found.pageInfo} after={search.after} onAfter={(after) => go({ ...search, after })} />}
      {isCreating && (
        <ServiceForm
          service={null}
          onClose={() => setCreating(false)}
          onSaved={(serviceId) => void navigate({ to: '/services/$serviceId', params: { serviceId } })}
        />
      )}
    </div>
  );
}
