// GraphiQL's way to the server: HTTP for queries and mutations, a WebSocket for subscriptions.
import type { Fetcher } from '@graphiql/toolkit';
import { getOperationAST, parse, type OperationDefinitionNode } from 'graphql';
import { post, type Request } from './http';
import { openStream, type StreamEvents } from './stream';

/**
 * The operation that runs; null leaves the explanation of what is wrong with the document to the server. GraphiQL
 * learns the name of the operation a moment after the text: right after a change of tabs it may still hold the old one.
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
