// GraphiQL's fetcher: HTTP for queries and mutations, a WebSocket for subscriptions.
import type { Fetcher } from '@graphiql/toolkit';
import { getOperationAST, parse, type OperationDefinitionNode } from 'graphql';
import { post, type Request } from './http';
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

export function createFetcher(events: StreamEvents): Fetcher {
  return (given, options) => {
    const headers = (options?.headers ?? {}) as Record<string, unknown>;
    const operation = operationOf(given);
    const request = operation ? { ...given, operationName: operation.name?.value } : given;
    if (operation?.operation !== 'subscription') {
      // What a subscription ended with says nothing about another operation. GraphiQL reads the
      // schema by itself.
      if (operation?.name?.value !== 'IntrospectionQuery') events.clear();
      const sent = withIds(request, headers).then((filled) => post(filled, headers));
      return sent as ReturnType<Fetcher>;
    }
    return {
      subscribe(observer: any) {
        let stream: { unsubscribe(): void } | null = null;
        let isStopped = false;
        const open = (filled: Request) => {
          if (!isStopped) stream = openStream(filled, operation, headers, observer, events);
        };
        const fail = (error: unknown) => {
          if (isStopped) return;
          events.state('failed', error instanceof Error ? error.message : undefined);
          observer.error(error);
        };
        withIds(request, headers).then(open, fail);
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
