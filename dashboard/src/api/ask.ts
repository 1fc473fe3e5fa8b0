// Queries and mutations: one POST each to /graphql, with the session's cookie. There is no cache,
// because what is shown is kept current by streams, and every page asks for what it shows.
import { Client, fetchExchange, type AnyVariables, type CombinedError, type TypedDocumentNode } from '@urql/core';
import { useCallback, useEffect, useRef, useState } from 'react';
import { ENDPOINT } from '../../shared/http';
import { heard, notHeard } from './connection';

/** Why something was not answered, for people and for programs. */
export interface Problem {
  code: string;
  message: string;
}

export interface Reply<Data> {
  /** May be there beside a problem, with null in place of what could not be read. */
  data: Data | null;
  problem: Problem | null;
}

/** Told when an answer says that nobody is signed in. */
let onSignedOut: (reason: string) => void = () => undefined;
export function whenSignedOut(listener: (reason: string) => void): void {
  onSignedOut = listener;
}

const client = new Client({
  url: ENDPOINT,
  exchanges: [fetchExchange],
  requestPolicy: 'network-only',
  preferGetMethod: false,
  // Errors come with status 200 for this type, or the browser would log each of them.
  fetchOptions: { credentials: 'same-origin', headers: { accept: 'application/json' } },
});

function problemOf(error: CombinedError): Problem {
  const first = error.graphQLErrors[0];
  if (first) return { code: String(first.extensions?.code ?? 'INTERNAL'), message: first.message };
  return { code: 'UNAVAILABLE', message: 'The server did not answer. What is shown may be out of date.' };
}

function noted<Data>(data: Data | undefined, error: CombinedError | undefined): Reply<Data> {
  const problem = error ? problemOf(error) : null;
  if (error?.networkError) notHeard(problem!.message);
  else heard();
  if (problem?.code === 'UNAUTHENTICATED') onSignedOut(problem.message);
  return { data: data ?? null, problem };
}

export async function ask<Data, Variables extends AnyVariables>(
  document: TypedDocumentNode<Data, Variables>,
  variables: Variables,
): Promise<Reply<Data>> {
  const { data, error } = await client.query(document, variables).toPromise();
  return noted(data, error);
}

/** Sends a mutation. */
export async function change<Data, Variables extends AnyVariables>(
  document: TypedDocumentNode<Data, Variables>,
  variables: Variables,
): Promise<Reply<Data>> {
  const { data, error } = await client.mutation(document, variables).toPromise();
  return noted(data, error);
}

/**
 * Asks when the variables change and when told to. Keeps what is shown while it asks again, and
 * when the server cannot answer. Without variables it does not ask.
 */
export function useAsk<Data, Variables extends AnyVariables>(
  document: TypedDocumentNode<Data, Variables>,
  variables: Variables | null,
) {
  const [reply, setReply] = useState<Reply<Data> & { key: string }>({ data: null, problem: null, key: '' });
  const key = JSON.stringify(variables);
  const turn = useRef(0);
  const again = useCallback(async () => {
    if (key === 'null') return;
    const mine = ++turn.current;
    const found = await ask(document, JSON.parse(key) as Variables);
    if (mine !== turn.current) return;
    setReply((before) => ({
      key,
      problem: found.problem,
      data: found.problem && before.key === key ? (before.data ?? found.data) : found.data,
    }));
  }, [document, key]);
  useEffect(() => {
    void again();
    return () => void turn.current++;
  }, [again]);
  const isLoading = reply.key !== key;
  return { data: isLoading ? null : reply.data, problem: isLoading ? null : reply.problem, isLoading, again };
}
