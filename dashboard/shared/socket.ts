// What all sockets of our pages have in common: the address, and when to connect again.
import { ENDPOINT } from './http';

/** The close code of a socket whose key or session does not work, or not any more. */
export const UNAUTHENTICATED = 4401;
/** Close codes after which a retry cannot help: the sign-in has ended, or the request is wrong. */
const FATAL = [4400, UNAUTHENTICATED, 4406, 4409, 4429];

export function isFatal(error: unknown): boolean {
  return error instanceof CloseEvent && FATAL.includes(error.code);
}

export function socketUrl(): string {
  return `${location.protocol === 'https:' ? 'wss' : 'ws'}://${location.host}${ENDPOINT}`;
}

/** Waits 0.25 s, 0.5 s and so on, at most 5 s. Up to half of it is random. */
export function backoff(retries: number): Promise<void> {
  const limit = Math.min(250 * 2 ** retries, 5000);
  return new Promise((resolve) => setTimeout(resolve, limit / 2 + (Math.random() * limit) / 2));
}
