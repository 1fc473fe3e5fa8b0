// A document that a link of the dashboard gives: `#query=...&variables=...`. It is opened in a tab
// and never runs by itself.

export interface Given {
  query: string;
  variables: string;
}

/** Reads `#query=...` and removes it from the address bar and the history entry. */
export function takeQueryFromFragment(): Given | null {
  const fragment = new URLSearchParams(location.hash.slice(1));
  const query = fragment.get('query');
  if (query === null) return null;
  const variables = fragment.get('variables') ?? '';
  history.replaceState(history.state, '', location.pathname + location.search);
  return { query, variables };
}
