// The filters of the audit, as they stand in the address.
import { textOf } from '../catalog/search';

export interface AuditSearch {
  actor?: string;
  action?: string;
  objectId?: string;
  outcome?: 'DONE' | 'REFUSED';
  from?: string;
  to?: string;
  after?: string;
}

const TEXTS = ['actor', 'action', 'objectId'] as const;

export function validAuditSearch(given: Record<string, unknown>): AuditSearch {
  const found: AuditSearch = {};
  for (const name of TEXTS) {
    const text = textOf(given[name])?.trim();
    if (text) found[name] = text;
  }
  if (given.outcome === 'DONE' || given.outcome === 'REFUSED') found.outcome = given.outcome;
  for (const end of ['from', 'to'] as const) {
    const at = typeof given[end] === 'string' ? Date.parse(given[end]) : NaN;
    if (!Number.isNaN(at)) found[end] = new Date(at).toISOString();
  }
  const after = textOf(given.after, 2000);
  if (after) found.after = after;
  return found;
}

/** The filter as the API takes it, or null for every entry. */
export function filterOf({ actor, action, objectId, outcome, from, to }: AuditSearch) {
  const at = from || to ? { gte: from ?? null, lt: to ?? null } : undefined;
  const filter = { ...(actor && { actor }), ...(action && { action }), ...(objectId && { objectId }), ...(outcome && { outcome }), ...(at && { at }) };
  return Object.keys(filter).length > 0 ? filter : null;
}
