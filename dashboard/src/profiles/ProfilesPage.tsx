import { getRouteApi, Link, useNavigate } from '@tanstack/react-router';
import { useState } from 'react';
import { useAsk } from '../api/ask';
import { useJobsTouched } from '../api/useJobsTouched';
import { playgroundUrl } from '../app/playground';
import { useCan } from '../app/session';
import { focusSearch, LimitBars, Paging, SearchBox, useTitle } from '../catalog/parts';
import type { CatalogSearch } from '../catalog/search';
import { useKeys } from '../ui/keys';
import { Empty, Loading, ProblemBanner } from '../ui/parts';
import { Profiles, type CardOf } from './documents';
import { ProfileForm } from './ProfileForm';
import { HeldBy, ProxyList, SecretHints, ServiceChips } from './ProfileParts';

const route = getRouteApi('/shell/profiles');
const PAGE = 24;

function Card({ profile }: { profile: CardOf }) {
  return (
    <article className="item" data-profile={profile.id} aria-label={profile.name}>
      <div className="item-head">
        <h2>
          <Link to="/profiles/$profileId" params={{ profileId: profile.id }}>
            {profile.name}
          </Link>
        </h2>
        <span className="item-chips">
          {profile.labels.map((label) => (
            <span key={label} className="chip chip-soft">
              {label}
            </span>
          ))}
        </span>
      </div>
      {profile.description && <p className="soft">{profile.description.slice(0, 200)}</p>}
      <HeldBy profile={profile} />
      <div className="item-part">
        <h3>Proxies, in order</h3>
        <ProxyList profile={profile} />
      </div>
      <div className="item-part">
        <h3>Services</h3>
        <ServiceChips profile={profile} />
      </div>
      {profile.usage.length > 0 && (
        <div className="item-part">
          <h3>Caps</h3>
          <LimitBars usage={profile.usage} />
        </div>
      )}
      <div className="item-part">
        <h3>Secrets</h3>
        <SecretHints profile={profile} />
      </div>
    </article>
  );
}

export function ProfilesPage() {
  const search = route.useSearch();
  const navigate = useNavigate();
  const variables = { search: search.q ?? null, first: PAGE, after: search.after ?? null };
  const { data, problem, isLoading, again } = useAsk(Profiles, variables);
  const [isCreating, setCreating] = useState(false);
  const mayCreate = useCan('profileCreate');
  // A profile is held while a job runs, so what enters or leaves that state changes the cards.
  useJobsTouched({ states: ['RUNNING'] }, again);
  useTitle('Profiles');
  useKeys({ '/': focusSearch });
  const found = data?.profiles;
  const go = (next: CatalogSearch) => void navigate({ to: '/profiles', search: next });
  return (
    <div className="page">
      <div className="page-head">
        <h1>Profiles</h1>
        <span className="soft" role="status">
          {found && typeof found.totalCount === 'number' ? `${found.totalCount.toLocaleString('en')} in all` : ''}
        </span>
        <span className="push acts">
          <a className="small" href={playgroundUrl(Profiles, variables)}>
            Show the query
          </a>
          {mayCreate && (
            <button type="button" className="primary" onClick={() => setCreating(true)}>
              New profile
            </button>
          )}
        </span>
      </div>
      <div className="filters-line">
        <SearchBox label="Part of a profile's name" value={search.q} onChange={(q) => go({ q })} />
      </div>
      {problem && <ProblemBanner problem={problem} again={() => void again()} />}
      {isLoading && <Loading what="the profiles" lines={10} />}
      {found && found.nodes.length === 0 && (
        <Empty title={search.q ? 'No profile has this in its name' : 'There are no profiles yet'}>
          {search.q ? (
            <button type="button" onClick={() => go({})}>
              Clear the search
            </button>
          ) : (
            <p>A profile is a browser identity with its secrets, services and proxies. {mayCreate ? 'Create the first one above.' : 'An ADMIN can create one.'}</p>
          )}
        </Empty>
      )}
      {found && (
        <div className="cards">
          {found.nodes.map((profile) => (
            <Card key={profile.id} profile={profile} />
          ))}
        </div>
      )}
      {found && <Paging page={found.pageInfo} after={search.after} onAfter={(after) => go({ ...search, after })} />}
      {isCreating && (
        <ProfileForm
          profile={null}
          onClose={() => setCreating(false)}
          onSaved={(profileId) => void navigate({ to: '/profiles/$profileId', params: { profileId } })}
        />
      )}
    </div>
  );
}
