// What the pages of commands keep in the address.

export interface CommandsSearch {
  q?: string;
}

export function validCommandsSearch(given: Record<string, unknown>): CommandsSearch {
  return typeof given.q === 'string' && given.q.trim() ? { q: given.q.slice(0, 200) } : {};
}

export const TABS = ['overview', 'edit'] as const;
export type Tab = (typeof TABS)[number];

export interface CommandSearch {
  tab?: Tab;
}

export const validCommandSearch = (given: Record<string, unknown>): CommandSearch => (given.tab === 'edit' ? { tab: 'edit' } : {});
