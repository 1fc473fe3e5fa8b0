// GraphiQL's fetcher: HTTP for queries and mutations, a WebSocket for subscriptions.
import type { Fetcher } from '@graphiql/toolkit';
import { getOperationAST, parse, type OperationDefinitionNode } from 'graphql';
import { post, type Answer, type Request } from '../shared/http';
import { headersOf } from '../shared/key';
import { refusalIn, type Refusal } from './permissions';
import { withIds } from './placeholders';
import { openStream, type StreamEvents } from './stream';

/**
 * Returns the operation that runs, or null to let the server explain what is wrong with the
 * document. GraphiQL sets the operation's name a moment after the text, so right after a change of
 * tabs the name may be the old one.
 */
function operationOf({ query, operationName }: Request): OperationDefinitionNode | null {
  try {
    const document = parse(query);
    return getOperationAST(document, operationName) ?? getOperationAST(document) ?? null;
  } catch {
    return null;
  }
}

/** An error as GraphiQL shows it: of an Error it would show the stack, which says nothing to anybody. */
function plain(error: unknown): unknown {
  return error instanceof Error ? { message: error.message } : error;
}

/** `onRefused` is told when an answer says that nobody is signed in, and why if it says so. */
export function createFetcher(events: StreamEvents, onRefused: (reason?: string) => void): Fetcher {
  return (given, options) => {
    const headers = (options?.headers ?? {}) as Record<string, unknown>;
    // An `Authorization` of the headers editor is another caller than the session.
    const isOfSession = headersOf(headers).authorization === undefined;
    const note = (refusal: Refusal | null) => {
      if (refusal && isOfSession) onRefused(refusal.reason);
    };
    const send = async (request: Request): Promise<Answer> => {
      const answer = await post(request, headers);
      note(refusalIn(request, answer));
      return answer;
    };
    const operation = operationOf(given);
    const request = operation ? { ...given, operationName: operation.name?.value } : given;
    if (operation?.operation !== 'subscription') {
      // What a subscription ended with says nothing about another operation. GraphiQL reads the
      // schema by itself.
      if (operation?.name?.value !== 'IntrospectionQuery') events.clear();
      const sent = withIds(request, send).then(send);
      return sent.catch((error: unknown) => Promise.reject(plain(error))) as ReturnType<Fetcher>;
    }
    return {
      subscribe(observer: any) {
        let stream: { unsubscribe(): void } | null = null;
        let isStopped = false;
        const told = {
          next(result: any) {
            note(refusalIn(request, result));
            observer.next(result);
          },
          complete: () => observer.complete(),
          error(error: unknown) {
            if (Array.isArray(error)) note(refusalIn(request, { errors: error }));
            observer.error(plain(error));
          },
          note: (reason: string) => note({ reason }),
        };
        const open = (filled: Request) => {
          if (!isStopped) stream = openStream(filled, operation, headers, told, events);
        };
        const fail = (error: unknown) => {
          if (isStopped) return;
          events.state('failed', error instanceof Error ? error.message : undefined);
          observer.error(plain(error));
        };
        withIds(request, send).then(open, fail);
        return {
          unsubscribe() {
            isStopped = true;
            stream?.unsubscribe();
          },
        };
      },
    } as unknown as ReturnType<Fetcher>;
  };
}
