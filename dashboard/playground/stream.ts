// Subscriptions use one WebSocket each, so that it carries the headers of its start. The browser sends
// the session's cookie with it.
//
// After a broken connection the client reconnects by itself. When the operation takes the cursor in
// a variable (`jobEvents(jobId: $jobId, after: $after)`) and selects `cursor`, it resumes from the
// last cursor, so that no message is lost or repeated.
import { createClient } from 'graphql-ws';
import { type OperationDefinitionNode } from 'graphql';
import { headersOf } from '../shared/key';
import { type Request } from '../shared/http';
import { backoff, isFatal, socketUrl, UNAUTHENTICATED } from '../shared/socket';

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
    shouldRetry: (error) => !isFatal(error),
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
