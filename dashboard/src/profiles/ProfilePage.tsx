import { getRouteApi, Link, useNavigate } from '@tanstack/react-router';
import { useState } from 'react';
import { useAsk } from '../api/ask';
import { useJobsTouched } from '../api/useJobsTouched';
import { playgroundUrl } from '../app/playground';
import { useCan } from '../app/session';
import { rowsOfEnvironment } from '../catalog/convert';
import { JobsOf } from '../catalog/JobsOf';
import { Fact, LimitBars, Section, useTitle } from '../catalog/parts';
import { ConfirmDialog } from '../forms/ConfirmDialog';
import { Empty, Loading, ProblemBanner } from '../ui/parts';
import { Time } from '../ui/Time';
import { lengthOf, millisecondsOf } from '../ui/time';
import { tell } from '../ui/Toast';
import { ProfileDelete, ProfilePageQuery, type ProfileOfPage } from './documents';
import { ProfileForm } from './ProfileForm';
import { HeldBy, ProxyList, ServiceChips } from './ProfileParts';
import { Secrets } from './Secrets';
import { SELECTIONS } from './values';

const route = getRouteApi('/shell/profiles/$profileId');

function Facts({ profile }: { profile: ProfileOfPage }) {
  const { today, thisMonth } = profile.consumption;
  const used = ({ attempts, busy }: typeof today) => `${attempts.toLocaleString('en')} attempts, ${lengthOf(millisecondsOf(busy))}`;
  return (
    <dl className="facts">
      <Fact name="Today">{used(today)}</Fact>
      <Fact name="This month">{used(thisMonth)}</Fact>
      <Fact name="Directory">
        <span className="mono">{profile.chromeProfilePath}</span>
      </Fact>
      <Fact name="Changed">
        <Time at={profile.updatedAt} />
        <span className="soft">{`, version ${profile.version}`}</span>
      </Fact>
      {profile.labels.length > 0 && (
        <Fact name="Labels">
          {profile.labels.map((label) => (
            <span key={label} className="chip">
              {label}
            </span>
          ))}
        </Fact>
      )}
    </dl>
  );
}

function Environment({ profile }: { profile: ProfileOfPage }) {
  const rows = rowsOfEnvironment(profile.environment);
  if (rows.length === 0) return <p className="soft">No variables. Templates read them as profile.environment.NAME.</p>;
  return (
    <div className="scroll" tabIndex={0} role="region" aria-label="Variables">
      <table className="plain">
        <tbody>
          {rows.map(({ name, value }) => (
            <tr key={name}>
              <th scope="row" className="mono">
                {name}
              </th>
              <td className="mono wide">{value}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

export function ProfilePage() {
  const { profileId: id } = route.useParams();
  const navigate = useNavigate();
  const { data, problem, isLoading, again } = useAsk(ProfilePageQuery, { id });
  const [opened, setOpened] = useState<'edit' | 'delete' | null>(null);
  const mayEdit = useCan('profileUpdate');
  const mayDelete = useCan('profileDelete');
  const profile = data?.profile ?? null;
  useJobsTouched({ profileIds: [id] }, again);
  useTitle(profile?.name ?? 'Profile');
  if (isLoading) return <Loading what="the profile" lines={10} />;
  return (
    <div className="page">
      {problem && <ProblemBanner problem={problem} again={() => void again()} />}
      {!profile && !problem && (
        <Empty title="There is no such profile">
          <p>It may have been deleted, or the address is not whole.</p>
          <Link to="/profiles">Open the profiles</Link>
        </Empty>
      )}
      {profile && (
        <>
          <div className="page-head">
            <h1 className="job-title">
              <Link to="/profiles">Profiles</Link>
              <span className="soft"> / </span>
              {profile.name}
            </h1>
            <span className="push acts">
              <a className="small" href={playgroundUrl(ProfilePageQuery, { id })}>
                Show the query
              </a>
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
          {profile.description && <p>{profile.description}</p>}
          <HeldBy profile={profile} />
          <Facts profile={profile} />
          <Secrets profile={profile} mayEdit={mayEdit} again={() => void again()} />
          <div className="columns">
            <Section title="Proxies, in order" acts={<span className="soft small">{SELECTIONS.find(([value]) => value === profile.proxySelection)?.[1]}</span>}>
              <ProxyList profile={profile} />
            </Section>
            <Section title="Services">
              <ServiceChips profile={profile} />
            </Section>
            <Section title="Environment">
              <Environment profile={profile} />
            </Section>
            <Section title="Caps">
              {profile.usage.length > 0 ? <LimitBars usage={profile.usage} /> : <p className="soft">No caps, so its attempts are not counted out.</p>}
            </Section>
            <Section
              title="Jobs"
              acts={
                <Link to="/jobs" search={{ profile: [id] }}>
                  All its jobs
                </Link>
              }
            >
              <JobsOf jobs={profile.jobs.nodes} />
            </Section>
          </div>
          {opened === 'edit' && mayEdit && (
            <ProfileForm profile={profile} onClose={() => setOpened(null)} onSaved={() => (setOpened(null), void again())} />
          )}
          {opened === 'delete' && mayDelete && (
            <ConfirmDialog
              title={`Delete ${profile.name}`}
              act="Delete the profile"
              word={profile.name}
              document={ProfileDelete}
              variables={{ input: { id, version: profile.version } }}
              onDone={() => (tell('The profile is deleted.'), void navigate({ to: '/profiles' }))}
              onClose={() => setOpened(null)}
            >
              <p>Its secrets are deleted with it. Its directory on the workers is kept.</p>
            </ConfirmDialog>
          )}
        </>
      )}
    </div>
  );
}
