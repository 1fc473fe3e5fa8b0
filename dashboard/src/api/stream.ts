// Subscriptions, all over one socket. A stream that takes its cursor in the variable `after`
// resumes from the last one: after a broken connection, and when the tab is shown again, because a
// hidden tab gets nothing.
import { stringifyDocument, type AnyVariables, type TypedDocumentNode } from '@urql/core';
import { createClient, type Client } from 'graphql-ws';
import { backoff, isFatal, socketUrl, UNAUTHENTICATED } from '../../shared/socket';
import type { Problem } from './ask';
import { connection, heard, setSocket } from './connection';

export interface Sink<Data> {
  next(data: Data): void;
  /** The stream has ended by itself, because there is nothing more to come. */
  complete?(): void;
  /** The stream has ended for this reason. */
  fail?(problem: Problem): void;
}

let socket: Client | null = null;

/** Opens the socket of a person who has signed in. `onEnded` is told why they are no more. */
export function openSocket(onEnded: (reason: string) => void): void {
  closeSocket();
  setSocket('connecting');
  socket = createClient({
    url: socketUrl,
    lazy: false,
    retryAttempts: Infinity,
    retryWait: backoff,
    shouldRetry: (error) => !isFatal(error),
    keepAlive: 15_000,
    connectionAckWaitTimeout: 10_000,
    on: {
      connecting: (isRetry) => setSocket(isRetry ? 'reconnecting' : 'connecting'),
      connected: () => (setSocket('live'), heard()),
      message: heard,
      closed: (event) => {
        if (connection.get().socket !== 'off') setSocket(navigator.onLine ? 'reconnecting' : 'offline');
        if (event instanceof CloseEvent && event.code === UNAUTHENTICATED) onEnded(event.reason);
      },
    },
    onNonLazyError: () => undefined,
  });
}

export function closeSocket(): void {
  setSocket('off');
  void socket?.dispose();
  socket = null;
}

function problemOf(error: unknown): Problem {
  const first: unknown = Array.isArray(error) ? error[0] : error;
  if (first && typeof first === 'object' && 'message' in first) {
    const { message, extensions } = first as { message: string; extensions?: { code?: string } };
    return { code: extensions?.code ?? 'UNAVAILABLE', message };
  }
  return { code: 'UNAVAILABLE', message: 'The stream has ended. Reload the page to continue.' };
}

/** Returns the cursor of a message, which its only field has. */
function cursorIn(data: unknown): string | null {
  const root: unknown = Object.values((data ?? {}) as object)[0];
  const cursor = (root as { cursor?: unknown } | undefined)?.cursor;
  return typeof cursor === 'string' ? cursor : null;
}

/** Starts a stream and returns how to end it. */
export function stream<Data, Variables extends AnyVariables>(
  document: TypedDocumentNode<Data, Variables>,
  variables: Variables,
  sink: Sink<Data>,
): () => void {
  const payload = { query: stringifyDocument(document), variables: { ...(variables as Record<string, unknown>) } };
  let stop: (() => void) | null = null;
  let hasEnded = false;
  let failures = 0;
  const end = () => {
    hasEnded = true;
    stop?.();
    stop = null;
    window.document.removeEventListener('visibilitychange', look);
  };
  const start = () => {
    if (hasEnded || stop || !socket || window.document.hidden) return;
    // What an ended subscription still says is of no interest.
    let isOver = false;
    const unsubscribe = socket.subscribe<Data>(payload, {
      next({ data, errors }) {
        if (isOver) return;
        if (errors?.length || !data) return void fail(errors);
        failures = 0;
        // graphql-ws sends the payload again on every connection.
        const cursor = cursorIn(data);
        if (cursor) payload.variables.after = cursor;
        sink.next(data);
      },
      error: (error) => isOver || fail(error),
      complete() {
        if (isOver) return;
        end();
        sink.complete?.();
      },
    });
    stop = () => {
      isOver = true;
      unsubscribe();
    };
  };
  const fail = (error: unknown) => {
    const problem = problemOf(error);
    stop?.();
    stop = null;
    if (problem.code === 'UNAVAILABLE' || problem.code === 'RATE_LIMITED') return void backoff(++failures).then(start);
    end();
    sink.fail?.(problem);
  };
  function look() {
    if (!window.document.hidden) return start();
    stop?.();
    stop = null;
  }
  window.document.addEventListener('visibilitychange', look);
  start();
  return end;
}
