// An API key is typed, or stands in the URL's fragment, which never leaves the browser. It is
// traded for a session's cookie at once, which no script can read, and is kept nowhere.

/** Where earlier versions kept the key. */
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

/** Removes the key that an earlier version has kept. */
export function forgetStoredKey(): void {
  try {
    sessionStorage.removeItem(STORED);
  } catch {
    // storage is disabled
  }
}

/** Returns the entries of the headers editor, with names in lower case. */
export function headersOf(editor: Record<string, unknown> = {}): Record<string, string> {
  const headers: Record<string, string> = {};
  for (const [name, value] of Object.entries(editor)) {
    if (value !== null && value !== undefined) headers[name.toLowerCase()] = String(value);
  }
  return headers;
}
