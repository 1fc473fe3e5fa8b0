// What the page of schedules shows, as it stands in the address.

export interface SchedulesSearch {
  view?: 'week';
  /** What the name contains. */
  q?: string;
  /** The id of the schedule whose form is open, or `new`. */
  edit?: string;
}

export function validSchedulesSearch(given: Record<string, unknown>): SchedulesSearch {
  const found: SchedulesSearch = {};
  if (given.view === 'week') found.view = 'week';
  if (typeof given.q === 'string' && given.q.trim()) found.q = given.q.slice(0, 100);
  if (typeof given.edit === 'string' && /^(new|schedule_\w+)$/.test(given.edit)) found.edit = given.edit;
  return found;
}
