// The filters and the order of the page of jobs, as they stand in the address.
import { textsOf } from '../app/url';
import type { JobState } from '../graphql';
import { STATES } from '../ui/State';
import type { JobFilter, JobOrder } from './documents';

/** Filters that name objects by id, and how the API calls them. */
export const NODE_FIELDS = {
  command: { field: 'commandIds', label: 'Command' },
  profile: { field: 'profileIds', label: 'Profile' },
  proxy: { field: 'proxyIds', label: 'Proxy' },
  service: { field: 'serviceIds', label: 'Service' },
  schedule: { field: 'scheduleIds', label: 'Schedule' },
} as const;

/** Filters that are texts. */
export const TEXT_FIELDS = {
  queue: { field: 'queues', label: 'Queue' },
  label: { field: 'labels', label: 'Label' },
  id: { field: 'ids', label: 'Job id' },
} as const;

export const ORDERS = {
  newest: { name: 'Newest first', by: { field: 'CREATED_AT', direction: 'DESC' } },
  oldest: { name: 'Oldest first', by: { field: 'CREATED_AT', direction: 'ASC' } },
  finished: { name: 'Last finished first', by: { field: 'FINISHED_AT', direction: 'DESC' } },
  'finished-first': { name: 'First finished first', by: { field: 'FINISHED_AT', direction: 'ASC' } },
  priority: { name: 'Highest priority first', by: { field: 'PRIORITY', direction: 'DESC' } },
  'priority-low': { name: 'Lowest priority first', by: { field: 'PRIORITY', direction: 'ASC' } },
} as const satisfies Record<string, { name: string; by: JobOrder }>;

export type Order = keyof typeof ORDERS;
export type NodeField = keyof typeof NODE_FIELDS;
export type TextField = keyof typeof TEXT_FIELDS;
export type ListField = NodeField | TextField;

export interface JobsSearch extends Partial<Record<ListField, string[]>> {
  state?: JobState[];
  /** What the id, the command's name or a label is searched for. */
  q?: string;
  /** Jobs accepted from this time on, and before that one. */
  from?: string;
  to?: string;
  order?: Order;
}

export const LIST_FIELDS = [...Object.keys(NODE_FIELDS), ...Object.keys(TEXT_FIELDS)] as ListField[];
const MOST_VALUES = 1000;

/** Takes from an address what is a filter or an order, and leaves out the rest. */
export function validJobsSearch(given: Record<string, unknown>): JobsSearch {
  const found: JobsSearch = {};
  const states = textsOf(given.state).filter((text): text is JobState => (STATES as readonly string[]).includes(text));
  if (states.length > 0) found.state = states;
  for (const field of LIST_FIELDS) {
    const values = textsOf(given[field]).slice(0, MOST_VALUES);
    if (values.length > 0) found[field] = values;
  }
  if (typeof given.q === 'string' && given.q.trim()) found.q = given.q.slice(0, 200);
  for (const end of ['from', 'to'] as const) {
    const at = typeof given[end] === 'string' ? Date.parse(given[end]) : NaN;
    if (!Number.isNaN(at)) found[end] = new Date(at).toISOString();
  }
  if (typeof given.order === 'string' && given.order in ORDERS && given.order !== 'newest') found.order = given.order as Order;
  return found;
}

/** The filter as the API takes it, or null for every job. */
export function filterOf(search: JobsSearch): JobFilter | null {
  const filter: JobFilter = {};
  if (search.state) filter.states = search.state;
  for (const [name, { field }] of Object.entries({ ...NODE_FIELDS, ...TEXT_FIELDS })) {
    const values = search[name as ListField];
    if (values) filter[field] = values;
  }
  if (search.q) filter.search = search.q;
  if (search.from || search.to) filter.createdAt = { gte: search.from ?? null, lt: search.to ?? null };
  return Object.keys(filter).length > 0 ? filter : null;
}

export const orderOf = ({ order = 'newest' }: JobsSearch): JobOrder => ORDERS[order].by;

/** One filter in words, and the search without it. */
export interface Chip {
  key: string;
  label: string;
  value: string;
  without: JobsSearch;
}

/** The filters in words. `nameOf` knows the names of ids. */
export function chipsOf(search: JobsSearch, nameOf: (id: string) => string): Chip[] {
  const chips: Chip[] = [];
  for (const name of LIST_FIELDS) {
    const values = search[name] ?? [];
    const isNode = name in NODE_FIELDS;
    const { label } = isNode ? NODE_FIELDS[name as NodeField] : TEXT_FIELDS[name as TextField];
    for (const value of values) {
      const rest = values.filter((other) => other !== value);
      const without = { ...search, [name]: rest.length > 0 ? rest : undefined };
      chips.push({ key: `${name}:${value}`, label, value: isNode ? nameOf(value) : value, without });
    }
  }
  if (search.from) chips.push({ key: 'from', label: 'Created from', value: search.from, without: { ...search, from: undefined } });
  if (search.to) chips.push({ key: 'to', label: 'Created before', value: search.to, without: { ...search, to: undefined } });
  return chips;
}

/** `failed or cancelled`. */
export const statesInWords = (states: readonly JobState[]) => states.map((state) => state.toLowerCase()).join(' or ');

/** Every filter that is set in one line of words, for a question about all its jobs. */
export function wordsOf(search: JobsSearch, nameOf: (id: string) => string): string[] {
  const words = chipsOf(search, nameOf).map(({ label, value }) => `${label}: ${value}`);
  if (search.q) words.unshift(`Search: ${search.q}`);
  if (search.state) words.unshift(`State: ${statesInWords(search.state)}`);
  return words;
}
