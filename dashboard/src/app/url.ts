// The query of an address: `?state=FAILED&state=QUEUED&label=a`. A field with several values stands
// there several times.

export function parseSearch(text: string): Record<string, string | string[]> {
  const found: Record<string, string | string[]> = {};
  const parameters = new URLSearchParams(text.replace(/^\?/, ''));
  for (const name of new Set(parameters.keys())) {
    const values = parameters.getAll(name);
    found[name] = values.length === 1 ? values[0]! : values;
  }
  return found;
}

export function stringifySearch(search: Record<string, unknown>): string {
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(search)) {
    for (const one of Array.isArray(value) ? value : [value]) {
      if (one !== undefined && one !== null && one !== '') parameters.append(name, String(one));
    }
  }
  const text = parameters.toString();
  return text ? `?${text}` : '';
}

/** The texts of a field, whether it stands there once or several times. */
export function textsOf(value: unknown): string[] {
  const all: unknown[] = Array.isArray(value) ? value : value === undefined ? [] : [value];
  return [...new Set(all.map((one) => String(one)).filter((one) => one !== ''))];
}

/** An artifact's address on this origin, whatever name the API has elsewhere. */
export function onThisOrigin(url: string): string {
  const { pathname, search } = new URL(url, location.origin);
  return pathname + search;
}
