// Sends queries and mutations as one POST to the same origin, with the session's cookie.
import { headersOf } from './key';

export const ENDPOINT = '/graphql';

export interface Request {
  query: string;
  operationName?: string | null | undefined;
  variables?: Record<string, unknown> | null | undefined;
}

export interface Answer<Data = Record<string, unknown>> {
  data?: Data | null;
  errors?: { message: string; extensions?: { code?: string } }[];
}

export async function post<Data = Record<string, unknown>>(
  request: Request,
  editor?: Record<string, unknown>,
  signal?: AbortSignal,
): Promise<Answer<Data>> {
  const response = await fetch(ENDPOINT, {
    method: 'POST',
    body: JSON.stringify(request),
    headers: {
      'content-type': 'application/json',
      // Errors come with status 200, or the browser would log each as an error of the network, also
      // on the first visit of everybody.
      accept: 'application/json',
      ...headersOf(editor),
    },
    signal: signal ?? null,
  });
  const text = await response.text();
  try {
    return JSON.parse(text) as Answer<Data>;
  } catch {
    throw new Error(`${response.status} ${response.statusText}: ${text.slice(0, 200) || 'no response'}`);
  }
}
