// The session that the server sees for the key.
import { post } from './http';

export type Session =
  | { state: 'checking' }
  | { state: 'anonymous' }
  | { state: 'signed-in'; name: string; role: string; expiresAt: string | null }
  | { state: 'refused'; reason: string }
  | { state: 'unreachable'; reason: string };

export async function whoAmI(key: string | null, signal: AbortSignal): Promise<Session> {
  const query = 'query Viewer { viewer { name role expiresAt } }';
  try {
    const { data, errors } = await post({ query, operationName: 'Viewer' }, key, {}, signal);
    if (data?.viewer) return { state: 'signed-in', ...data.viewer };
    const { message, extensions } = errors?.[0] ?? {};
    const isAboutUs = !message || ['UNAUTHENTICATED', 'FORBIDDEN'].includes(extensions?.code ?? '');
    if (!isAboutUs) return { state: 'unreachable', reason: message };
    return key ? { state: 'refused', reason: message ?? 'The server does not know this key.' } : { state: 'anonymous' };
  } catch (error) {
    return { state: 'unreachable', reason: error instanceof Error ? error.message : String(error) };
  }
}

/** Returns the demo command's id for the default tabs, or null without a demo or a session. */
export async function demoCommandId(key: string | null): Promise<string | null> {
  const query = 'query DemoCommand { command(name: "demo-program") { id } }';
  try {
    const { data } = await post({ query, operationName: 'DemoCommand' }, key, {}, AbortSignal.timeout(3000));
    return data?.command?.id ?? null;
  } catch {
    return null;
  }
}
