// The API key comes from the URL's fragment (once), else from this tab's session storage, else from
// the field in the header. It never goes into local storage, and a fragment never leaves the
// browser.

const STORED = 'callboard.apiKey';

/** Returns the key if it may stand in a header (printable ASCII without spaces), else null. */
export function cleanKey(text: string): string | null {
  const key = text.trim().replace(/^Bearer\s+/i, '');
  return /^[\x21-\x7e]+$/.test(key) ? key : null;
}

/** Reads `#key=...` and removes it from the address bar and the history entry. */
export function takeKeyFromFragment(): string | null {
  const fragment = new URLSearchParams(location.hash.slice(1));
  const given = fragment.get('key');
  if (given === null) return null;
  fragment.delete('key');
  const rest = fragment.toString();
  history.replaceState(history.state, '', location.pathname + location.search + (rest ? `#${rest}` : ''));
  return cleanKey(given);
}

export function storedKey(): string | null {
  try {
    return sessionStorage.getItem(STORED);
  } catch {
    return null; // storage is disabled, so the key lives as long as the page
  }
}

export function storeKey(key: string | null): void {
  try {
    if (key) sessionStorage.setItem(STORED, key);
    else sessionStorage.removeItem(STORED);
  } catch {
    // storage is disabled
  }
}

/**
 * Returns the credentials of a request: the key, then the entries of the headers editor, which win.
 * Names are in lower case, so that "Authorization" in the editor replaces the key's
 * "authorization".
 */
export function credentials(key: string | null, editor: Record<string, unknown> = {}): Record<string, string> {
  const merged: Record<string, string> = key ? { authorization: `Bearer ${key}` } : {};
  for (const [name, value] of Object.entries(editor)) {
    if (value !== null && value !== undefined) merged[name.toLowerCase()] = String(value);
  }
  return merged;
}
