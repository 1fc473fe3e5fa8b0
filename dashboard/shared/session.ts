// The session that the server sees, and how it begins and ends.
import { post, type Answer } from './http';

export interface Viewer {
  name: string;
  role: string;
  expiresAt: string | null;
  can: string[];
}

export type Session =
  | { state: 'checking' }
  | { state: 'anonymous' }
  | ({ state: 'signed-in' } & Viewer)
  | { state: 'ended'; reason: string }
  | { state: 'refused'; reason: string }
  | { state: 'unreachable'; reason: string };

function failed({ errors }: Answer<unknown>): Session {
  const { message, extensions } = errors?.[0] ?? {};
  if (!message) return { state: 'anonymous' };
  const isAboutUs = ['UNAUTHENTICATED', 'FORBIDDEN', 'RATE_LIMITED'].includes(extensions?.code ?? '');
  return { state: isAboutUs ? 'refused' : 'unreachable', reason: message };
}

const unreachable = (error: unknown): Session => ({
  state: 'unreachable',
  reason: error instanceof Error ? error.message : String(error),
});

/** Asks who is signed in. */
export async function whoAmI(signal: AbortSignal): Promise<Session> {
  const query = 'query Viewer { viewer { name role expiresAt can } }';
  try {
    const answer = await post<{ viewer: Viewer | null }>({ query, operationName: 'Viewer' }, {}, signal);
    return answer.data?.viewer ? { state: 'signed-in', ...answer.data.viewer } : failed(answer);
  } catch (error) {
    return unreachable(error);
  }
}

interface SignedIn {
  sessionCreate: { viewer: { name: string } | null; userErrors: { message: string }[] };
}

/** Trades a key for the cookie of a session. It has begun when the next request is signed in. */
export async function signIn(key: string): Promise<Session> {
  const query = `mutation SignIn($input: SessionCreateInput!) {
    sessionCreate(input: $input) { viewer { name } userErrors { message } }
  }`;
  try {
    const answer = await post<SignedIn>({ query, operationName: 'SignIn', variables: { input: { key } } });
    const { viewer, userErrors } = answer.data?.sessionCreate ?? {};
    if (userErrors?.[0]) return { state: 'refused', reason: userErrors[0].message };
    if (!viewer) return failed(answer);
    const found = await whoAmI(AbortSignal.timeout(10_000));
    if (found.state !== 'anonymous') return found;
    return { state: 'refused', reason: 'The browser has not kept the cookie of the session. Allow cookies for this address.' };
  } catch (error) {
    return unreachable(error);
  }
}

/** Ends the session. */
export async function signOut(): Promise<void> {
  const query = 'mutation SignOut { sessionDelete { userErrors { message } } }';
  await post({ query, operationName: 'SignOut' });
}
