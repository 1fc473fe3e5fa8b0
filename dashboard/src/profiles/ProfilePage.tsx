import { getRouteApi, Link } from '@tanstack/react-router';
import { useAsk } from '../api/ask';
import { useJobsTouched } from '../api/useJobsTouched';
import { useCan } from '../app/session';
import { rowsOfEnvironment } from '../catalog/convert';
import { JobsOf } from '../catalog/JobsOf';
import { ObjectPage } from '../catalog/ObjectPage';
import { Fact, LimitBars, Section } from '../catalog/parts';
import { Time } from '../ui/Time';
import { lengthOf, millisecondsOf } from '../ui/time';
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
  const { data, ...asked } = useAsk(ProfilePageQuery, { id });
  const mayEdit = useCan('profileUpdate');
  useJobsTouched({ profileIds: [id] }, asked.again);
  return (
    <ObjectPage
      kind="profile"
      id={id}
      query={ProfilePageQuery}
      asked={asked}
      thing={data?.profile ?? null}
      form={(profile, close, onSaved) => <ProfileForm profile={profile} onClose={close} onSaved={onSaved} />}
      deletion={ProfileDelete}
      lost="Its secrets are deleted with it. Its directory on the workers is kept."
    >
      {(profile) => (
        <>
          {profile.description && <p>{profile.description}</p>}
          <HeldBy profile={profile} />
          <Facts profile={profile} />
          <Secrets profile={profile} mayEdit={mayEdit} again={() => void asked.again()} />
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
        </>
      )}
    </ObjectPage>
  );
}
