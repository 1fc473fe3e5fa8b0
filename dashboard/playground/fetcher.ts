// GraphiQL's fetcher: HTTP for queries and mutations, a WebSocket for subscriptions.
import type { Fetcher } from '@graphiql/toolkit';
import { getOperationAST, parse, type OperationDefinitionNode } from 'graphql';
import { post, type Request } from './http';
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

export function createFetcher(key: string | null, events: StreamEvents): Fetcher {
  return (given, options) => {
    const headers = (options?.headers ?? {}) as Record<string, unknown>;
    const operation = operationOf(given);
    const request = operation ? { ...given, operationName: operation.name?.value } : given;
    if (operation?.operation !== 'subscription') return post(request, key, headers) as ReturnType<Fetcher>;
    return {
      subscribe: (observer: any) => openStream(request, operation, key, headers, observer, events),
    } as unknown as ReturnType<Fetcher>;
  };
}
