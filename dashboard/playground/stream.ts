// Subscriptions use one WebSocket each, so that it carries the headers of its start. The browser sends
// the session's cookie with it.
//
// After a broken connection the client reconnects by itself. When the operation takes the cursor in
// a variable (`jobEvents(jobId: $jobId, after: $after)`) and selects `cursor`, it resumes from the
// last cursor, so that no message is lost or repeated.
import { createClient } from 'graphql-ws';
import { type OperationDefinitionNode } from 'graphql';
import { headersOf } from './key';
import { ENDPOINT, type Request } from './http';

export type StreamState = 'connecting' | 'live' | 'reconnecting' | 'complete' | 'stopped' | 'failed';

export interface StreamEvents {
  state(state: StreamState, detail?: string): void;
  message(result: unknown): void;
  /** Forgets a stream that has ended. */
  clear(): void;
}

interface Observer {
  next(result: any): void;
  error(error: unknown): void;
  complete(): void;
  /** Told why, when the socket was not signed in, or is not any more. */
  note(reason: string): void;
}

/** The close code of a socket whose key or session does not work, or not any more. */
const UNAUTHENTICATED = 4401;
/** Close codes after which a retry cannot help: the sign-in has ended, or the request is wrong. */
const FATAL = [4400, UNAUTHENTICATED, 4406, 4409, 4429];

function socketUrl(): string {
  return `${location.protocol === 'https:' ? 'wss' : 'ws'}://${location.host}${ENDPOINT}`;
}

/** Waits 0.25 s, 0.5 s and so on, at most 5 s. Up to half of it is random. */
function backoff(retries: number): Promise<void> {
  const limit = Math.min(250 * 2 ** retries, 5000);
  return new Promise((resolve) => setTimeout(resolve, limit / 2 + (Math.random() * limit) / 2));
}

/** Returns the response key of the root field and the variable that it takes as `after`. */
function resumption(operation: OperationDefinitionNode): { field: string; variable: string } | null {
  const root = operation.selectionSet.selections.find((selection) => selection.kind === 'Field');
  const after = root?.arguments?.find((argument) => argument.name.value === 'after')?.value;
  if (!root || after?.kind !== 'Variable') return null;
  return { field: (root.alias ?? root.name).value, variable: after.name.value };
}

function readable(error: unknown): unknown {
  if (error instanceof CloseEvent) {
    return new Error(`The server closed the socket (${error.code}): ${error.reason || 'without a reason'}`);
  }
  return error instanceof Event ? new Error('The socket could not be opened.') : error;
}

export function openStream(
  request: Request,
  operation: OperationDefinitionNode,
  editor: Record<string, unknown>,
  observer: Observer,
  events: StreamEvents,
): { unsubscribe(): void } {
  const resume = resumption(operation);
  const payload = { ...request, variables: { ...request.variables } };
  let done = false;
  const end = (state: StreamState, detail?: string) => {
    if (done) return;
    done = true;
    events.state(state, detail);
    void client.dispose();
  };
  const client = createClient({
    url: socketUrl,
    connectionParams: () => headersOf(editor),
    retryAttempts: Infinity,
    retryWait: backoff,
    shouldRetry: (error) => !(error instanceof CloseEvent && FATAL.includes(error.code)),
    keepAlive: 20_000,
    connectionAckWaitTimeout: 10_000,
    on: {
      connecting: (isRetry) => events.state(isRetry ? 'reconnecting' : 'connecting'),
      connected: () => events.state('live'),
      closed: () => done || events.state('reconnecting'),
    },
  });
  const stop = client.subscribe(payload as typeof payload & { operationName?: string }, {
    next(result) {
      const cursor = resume && (result.data as any)?.[resume.field]?.cursor;
      // graphql-ws sends the payload again on every connection.
      if (typeof cursor === 'string') payload.variables[resume!.variable] = cursor;
      events.message(result);
      observer.next(result);
    },
    error(error) {
      const reason = readable(error);
      const first = Array.isArray(reason) ? reason[0] : reason;
      if (error instanceof CloseEvent && error.code === UNAUTHENTICATED) observer.note(error.reason);
      end('failed', (first as { message?: string } | undefined)?.message);
      observer.error(reason);
    },
    complete() {
      end('complete');
      observer.complete();
    },
  });
  return {
    unsubscribe() {
      end('stopped');
      stop();
    },
  };
}
