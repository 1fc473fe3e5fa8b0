// What stands in the address of a list of the catalogue: a part of the name, and the page.

export interface CatalogSearch {
  q?: string;
  /** The cursor that the page begins after. */
  after?: string;
}

export const textOf = (value: unknown, most = 200): string | undefined =>
  typeof value === 'string' && value.trim() !== '' ? value.slice(0, most) : undefined;

export function validCatalogSearch(given: Record<string, unknown>): CatalogSearch {
  const found: CatalogSearch = {};
  const q = textOf(given.q);
  const after = textOf(given.after, 2000);
  if (q) found.q = q;
  if (after) found.after = after;
  return found;
}
