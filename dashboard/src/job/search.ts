// The tab of a job's page, as it stands in the address.

export const TABS = ['timeline', 'log', 'result', 'files', 'composed', 'events'] as const;
export type Tab = (typeof TABS)[number];

export interface JobSearch {
  tab?: Tab;
}

export function validJobSearch(given: Record<string, unknown>): JobSearch {
  const tab = TABS.find((one) => one === given.tab);
  return tab ? { tab } : {};
}
