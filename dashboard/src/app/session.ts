// Who is signed in. The key is traded for a cookie at once and is kept nowhere.
import { signIn, signOut, whoAmI, type Session } from '../../shared/session';
import { whenSignedOut } from '../api/ask';
import { closeSocket, openSocket } from '../api/stream';
import { createStore, useStore } from '../ui/store';

export const session = createStore<Session>({ state: 'checking' });

/** What a tab tells the others: the cookie is shared by all tabs of a browser. */
const channel = new BroadcastChannel('callboard.session');
const ENDED = 'Your session has ended. Sign in again.';
const ENDED_ELSEWHERE = 'You signed out in another tab.';

function settle(found: Session): void {
  const before = session.get();
  const isSame = before.state === 'signed-in' && found.state === 'signed-in' && before.name === found.name;
  if (found.state === 'signed-in' && !isSame) openSocket((reason) => void look(reason));
  if (found.state !== 'signed-in') closeSocket();
  session.set(found);
}

/** Looks again who is signed in, because an answer or the socket said that nobody is. */
export async function look(reason = ENDED): Promise<void> {
  const before = session.get();
  const found = await whoAmI(AbortSignal.timeout(10_000));
  // A server that does not answer says nothing about the session.
  if (found.state === 'unreachable' && before.state === 'signed-in') return;
  if (found.state !== 'anonymous') return settle(found);
  // The first reason stands, unless a person has signed out, which explains all others.
  if (before.state === 'signed-in' || (before.state === 'ended' && reason === ENDED_ELSEWHERE)) return settle({ state: 'ended', reason });
  settle(before.state === 'ended' || before.state === 'refused' ? before : found);
}

export async function enter(key: string): Promise<void> {
  const found = await signIn(key);
  settle(found);
  if (found.state === 'signed-in') channel.postMessage('signed-in');
}

export async function leave(): Promise<void> {
  await signOut().catch(() => undefined);
  const found = await whoAmI(AbortSignal.timeout(10_000));
  settle(found);
  if (found.state === 'anonymous') channel.postMessage('signed-out');
}

/** Watches what ends a session elsewhere. */
export function watchSession(): void {
  whenSignedOut((reason) => void look(reason));
  channel.addEventListener('message', ({ data }) => void look(data === 'signed-out' ? ENDED_ELSEWHERE : ENDED));
  document.addEventListener('visibilitychange', () => document.hidden || void look());
}

export function useSession(): Session {
  return useStore(session);
}

/** Whether the role may use this query, mutation or subscription. What it may not is not shown. */
export function useCan(field: string): boolean {
  const found = useStore(session);
  return found.state === 'signed-in' && found.can.includes(field);
}
