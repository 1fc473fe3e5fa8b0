// The profile, the services and the proxy of a job, and how they are now.
import type { ReactNode } from 'react';
import { useAsk } from '../api/ask';
import type { Mistake } from '../form/draft';
import { Messages } from '../form/Form';
import { below, idOf } from '../form/places';
import { Icon } from '../ui/Icon';
import { Countdown } from '../ui/Time';
import { lengthOf, millisecondsOf } from '../ui/time';
import { ComposeNodes, ComposeProfile, Pickable, type CommandOf, type ProxyOf, type ServiceOf } from './documents';
import { Pick } from './Pick';

export interface Chosen {
  profileId: string | undefined;
  proxyId: string | undefined;
  /** Undefined leaves them to the command and the profile. */
  serviceIds: readonly string[] | undefined;
}

function Line({ name, isBad, isUnknown = false, children }: { name: string; isBad: boolean; isUnknown?: boolean; children: ReactNode }) {
  return (
    <li data-bad={isBad || undefined} data-unknown={isUnknown || undefined}>
      <Icon name={isBad ? 'warning' : isUnknown ? 'clock' : 'check'} />
      <b>{name}</b>
      <span>{children}</span>
    </li>
  );
}

function ServiceLine({ service }: { service: ServiceOf }) {
  const isSuspended = service.suspendedUntil !== null && Date.parse(service.suspendedUntil) > Date.now();
  const room = service.usage.filter(({ limit, remaining }) => limit !== null && remaining !== null);
  return (
    <Line name={service.name} isBad={isSuspended || room.some(({ remaining }) => remaining === 0)}>
      {isSuspended && (
        <>
          {`suspended${service.suspendedReason ? ` (${service.suspendedReason})` : ''}, resumes `}
          <Countdown until={service.suspendedUntil!} />{' '}
        </>
      )}
      {room.length === 0 ? (isSuspended ? '' : 'no limit known') : room.map(({ name, limit, remaining }) => `${name}: ${remaining} of ${limit} left`).join(', ')}
    </Line>
  );
}

/** A latency, which is mostly below a second. */
function inWords(duration: string): string {
  const ms = millisecondsOf(duration);
  return ms < 1000 ? `${Math.round(ms)} ms` : lengthOf(ms);
}

function ProxyLine({ proxy }: { proxy: ProxyOf }) {
  const { status, latency, exitAddress, coolingUntil, failure } = proxy.health;
  const isCooling = coolingUntil !== null && Date.parse(coolingUntil) > Date.now();
  const words = [status === 'HEALTHY' ? 'healthy' : status === 'DOWN' ? `down${failure ? `: ${failure}` : ''}` : 'not checked yet', latency && inWords(latency), exitAddress && `exit ${exitAddress}`];
  return (
    <Line name={proxy.name} isBad={status === 'DOWN' || isCooling} isUnknown={status === 'UNKNOWN'}>
      {words.filter(Boolean).join(', ')}
      {isCooling && (
        <>
          {', cooling, ready '}
          <Countdown until={coolingUntil} />
        </>
      )}
    </Line>
  );
}

function Services({ value, onChange }: { value: readonly string[]; onChange(ids: readonly string[]): void }) {
  const { data } = useAsk(Pickable, { commands: false, profiles: false, proxies: false, services: true, search: null });
  const nodes = data?.services?.nodes ?? [];
  if (data && nodes.length === 0) return <p className="soft">There are no services yet.</p>;
  return (
    <>
      {nodes.map(({ id, name }) => (
        <label key={id}>
          <input type="checkbox" checked={value.includes(id)} onChange={({ target }) => onChange(target.checked ? [...value, id] : value.filter((other) => other !== id))} />
          {name}
        </label>
      ))}
    </>
  );
}

interface Props {
  command: CommandOf | null;
  chosen: Chosen;
  mistakes: readonly Mistake[];
  onChange(chosen: Chosen): void;
}

export function Surroundings({ command, chosen, mistakes, onChange }: Props) {
  const profileId = chosen.profileId ?? command?.profile?.id;
  const { data } = useAsk(ComposeProfile, profileId ? { id: profileId } : null);
  const ids = [...(chosen.serviceIds ?? []), ...(chosen.proxyId ? [chosen.proxyId] : [])];
  const { data: others } = useAsk(ComposeNodes, ids.length > 0 ? { ids } : null);
  const profile = profileId ? (data?.profile ?? null) : null;
  const nodes = ids.length > 0 ? (others?.nodes ?? []) : [];
  const named = nodes.filter((one): one is ServiceOf & { __typename: 'Service' } => one?.__typename === 'Service');
  const proxyNamed = nodes.filter((one): one is ProxyOf & { __typename: 'Proxy' } => one?.__typename === 'Proxy');
  const services = chosen.serviceIds ? named : command && command.services.length > 0 ? command.services : (profile?.services ?? []);
  const proxies = chosen.proxyId ? proxyNamed : command?.proxy ? [command.proxy] : (profile?.proxies ?? []);
  const asSaid = command ? 'As the command and the profile say' : 'As the profile says';
  const serviceMessages = below(mistakes, ['serviceIds']);
  return (
    <>
      <Pick
        of="profiles"
        label="Profile"
        none={command?.profile ? `As the command says: ${command.profile.name}` : 'None'}
        value={chosen.profileId}
        path={['profileId']}
        messages={below(mistakes, ['profileId'])}
        onChange={(id) => onChange({ ...chosen, profileId: id })}
      />
      {profile?.heldBy && <p className="soft small">The profile is held by a job now. This one waits for it.</p>}
      <ul className="health" aria-label="Services and proxies">
        {services.map((one) => (
          <ServiceLine key={one.id} service={one} />
        ))}
        {proxies.map((one) => (
          <ProxyLine key={one.id} proxy={one} />
        ))}
        {services.length === 0 && <li className="soft">No services.</li>}
        {proxies.length === 0 && <li className="soft">No proxy: the exit is direct.</li>}
      </ul>
      <details className="form-more" open={chosen.proxyId !== undefined || chosen.serviceIds !== undefined || undefined}>
        <summary>Other services or another proxy</summary>
        <Pick
          of="proxies"
          label="Proxy"
          none={asSaid}
          value={chosen.proxyId}
          path={['proxyId']}
          messages={below(mistakes, ['proxyId'])}
          onChange={(id) => onChange({ ...chosen, proxyId: id })}
        />
        <fieldset className="form-group" id={idOf(['serviceIds'])}>
          <legend>Services</legend>
          <label>
            <input type="checkbox" checked={chosen.serviceIds === undefined} onChange={({ target }) => onChange({ ...chosen, serviceIds: target.checked ? undefined : [] })} />
            {asSaid}
          </label>
          {chosen.serviceIds && <Services value={chosen.serviceIds} onChange={(serviceIds) => onChange({ ...chosen, serviceIds })} />}
          <Messages id={`${idOf(['serviceIds'])}:mistakes`} messages={serviceMessages} />
        </fieldset>
      </details>
    </>
  );
}
