// Parts of a profile that its card and its page share.
import { Link } from '@tanstack/react-router';
import { Health, Hint } from '../catalog/parts';
import { State } from '../ui/State';
import { Took } from '../ui/Time';
import type { CardOf } from './documents';

/** The job that has the profile now. */
export function HeldBy({ profile: { heldBy } }: { profile: CardOf }) {
  if (!heldBy) {
    return (
      <p className="item-held soft" data-free="">
        Free. No job holds it.
      </p>
    );
  }
  return (
    <p className="item-held" data-held="">
      <State state={heldBy.state} />{' '}
      <Link to="/jobs/$jobId" params={{ jobId: heldBy.id }}>
        {heldBy.command?.name ?? 'deleted command'}
      </Link>
      {heldBy.startedAt && (
        <span className="soft">
          {' for '}
          <Took from={heldBy.startedAt} to={null} />
        </span>
      )}
      <span className="soft">{`, exit ${heldBy.proxy?.name ?? 'direct'}`}</span>
    </p>
  );
}

export function ProxyList({ profile: { proxies } }: { profile: CardOf }) {
  if (proxies.length === 0) return <p className="soft">None, so its jobs reach the network directly.</p>;
  return (
    <ol className="item-list">
      {proxies.map(({ id, name, health }) => (
        <li key={id}>
          <span>
            <Link to="/proxies/$proxyId" params={{ proxyId: id }}>
              {name}
            </Link>
          </span>
          <Health health={health} />
        </li>
      ))}
    </ol>
  );
}

export function ServiceChips({ profile: { services } }: { profile: CardOf }) {
  if (services.length === 0) return <p className="soft">None.</p>;
  return (
    <p className="item-chips">
      {services.map(({ id, name }) => (
        <Link key={id} className="chip" to="/services/$serviceId" params={{ serviceId: id }}>
          {name}
        </Link>
      ))}
    </p>
  );
}

export function SecretHints({ profile: { secrets } }: { profile: CardOf }) {
  if (secrets.length === 0) return <p className="soft">None are set.</p>;
  return (
    <ul className="item-list">
      {secrets.map((secret) => (
        <li key={secret.name}>
          <span>{secret.name}</span>
          <Hint secret={secret} />
        </li>
      ))}
    </ul>
  );
}
