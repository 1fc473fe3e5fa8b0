// What GraphiQL keeps in local storage: tabs, history, theme. Headers are never kept, and neither
// are the values of variables whose names mark them as secrets (a token for serviceTokenRefresh, a
// proxy's password, ...).

const SECRET_NAME = /^(token|password|secret|key|apikey|authorization)$/i;
const MASK = '***';

function mask(value: unknown, inSecrets = false): unknown {
  if (Array.isArray(value)) return value.map((item) => mask(item, inSecrets));
  if (value === null || typeof value !== 'object') return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, inner]) => {
      const isSecret = SECRET_NAME.test(name) || (inSecrets && name === 'value');
      return [name, isSecret && typeof inner === 'string' ? MASK : mask(inner, inSecrets || name === 'secrets')];
    }),
  );
}

/**
 * Returns the variables editor's text without secrets. Without any, or if invalid, it is unchanged.
 */
export function maskVariables(text: string): string {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    // Half typed or with comments. Keep it unless it names a secret.
    return /"(token|password|secrets?|key|apikey|authorization)"/i.test(text) ? '' : text;
  }
  const masked = mask(parsed);
  return JSON.stringify(masked) === JSON.stringify(parsed) ? text : JSON.stringify(masked, null, 2);
}

function clean(key: string, value: string): string {
  if (key === 'graphiql:variables') return maskVariables(value);
  if (!/^graphiql:(tabState|queries|favorites)$/.test(key)) return value;
  return JSON.stringify(JSON.parse(value), (name, inner) => {
    if (name === 'headers') return null;
    return name === 'variables' && typeof inner === 'string' ? maskVariables(inner) : inner;
  });
}

const ours = () => Object.keys(localStorage).filter((key) => key.startsWith('graphiql:'));

/** What GraphiQL keeps of the shown tab a second time. */
const OF_TAB: Record<string, 'query' | 'variables' | 'headers'> = {
  'graphiql:query': 'query',
  'graphiql:variables': 'variables',
  'graphiql:headers': 'headers',
};

/**
 * The text of the shown tab, as it is among the tabs. The second copy can be of another tab or not
 * masked, and then GraphiQL would open one more tab for it.
 */
function ofShownTab(part: 'query' | 'variables' | 'headers'): string | null | undefined {
  try {
    const { tabs, activeTabIndex } = JSON.parse(localStorage.getItem('graphiql:tabState') ?? '{}');
    const tab = tabs?.[activeTabIndex];
    return tab && (tab[part] ?? null);
  } catch {
    return undefined;
  }
}

function getItem(key: string): string | null {
  const part = OF_TAB[key];
  const shown = part && ofShownTab(part);
  return shown === undefined ? localStorage.getItem(key) : shown;
}

export const storage = {
  getItem,
  setItem: (key: string, value: string) => localStorage.setItem(key, clean(key, value)),
  removeItem: (key: string) => localStorage.removeItem(key),
  get length() {
    return ours().length;
  },
  clear: () => ours().forEach((key) => localStorage.removeItem(key)),
};
