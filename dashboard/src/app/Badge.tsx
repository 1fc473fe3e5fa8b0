// Says whether what is shown is current, and since when it is not.
import { connection, type Connection } from '../api/connection';
import { useStore } from '../ui/store';
import { useNow } from '../ui/Time';
import { ageOf } from '../ui/time';

/** The socket answers a ping every 15 s, so a longer silence means that something is wrong. */
const STALE_AFTER = 40_000;

export type Freshness = 'live' | 'reconnecting' | 'offline' | 'stale';

export function freshnessOf({ socket, heardAt, problem }: Connection, now: number, isOnline: boolean): Freshness {
  if (!isOnline || socket === 'offline') return 'offline';
  if (socket !== 'live') return 'reconnecting';
  return problem !== null || heardAt === null || now - heardAt > STALE_AFTER ? 'stale' : 'live';
}

const WORDS: Record<Freshness, string> = {
  live: 'Live',
  reconnecting: 'Reconnecting',
  offline: 'Offline',
  stale: 'Stale',
};

export function Badge() {
  const now = useNow();
  const found = useStore(connection);
  const freshness = freshnessOf(found, now, navigator.onLine);
  const age = found.heardAt === null ? null : ageOf(now - found.heardAt);
  const explanation = age === null ? 'The server has not been heard yet.' : `The server was last heard ${age} ago.`;
  return (
    <span className="badge" data-freshness={freshness} title={found.problem ?? explanation}>
      <span className="dot" aria-hidden="true" />
      <span role="status">{WORDS[freshness]}</span>
      {age !== null && <span className="badge-age">{age}</span>}
    </span>
  );
}
