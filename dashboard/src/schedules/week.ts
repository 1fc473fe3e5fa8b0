// The runs of the next seven days, by day in the chosen zone.
import { dateTime } from '../ui/time';

/** The most runs of a schedule that the API tells. */
export const MOST_RUNS = 100;
/** A schedule with more runs on a day gets one line with their number. */
const FEW = 3;
const DAYS = 7;

export interface Runs {
  id: string;
  name: string;
  upcoming: readonly string[];
}

export interface Entry {
  id: string;
  name: string;
  /** When it runs, in order. */
  times: string[];
}

export interface Week {
  days: { date: string; entries: Entry[] }[];
  /** Schedules that run so often that the API tells only a part of the week, and until when. */
  cut: { id: string; name: string; until: string }[];
}

const nextDate = (date: string, days: number) =>
  new Date(Date.parse(`${date}T00:00:00Z`) + days * 86_400_000).toISOString().slice(0, 10);

export function weekOf(schedules: readonly Runs[], now: number, zone: string | undefined): Week {
  const dateOf = (at: string | number) => dateTime(at, zone).slice(0, 10);
  const today = dateOf(now);
  const days = Array.from({ length: DAYS }, (_, day) => ({ date: nextDate(today, day), entries: [] as Entry[] }));
  const cut: Week['cut'] = [];
  const last = days.at(-1)!.date;
  for (const { id, name, upcoming } of schedules) {
    for (const { date, entries } of days) {
      const times = upcoming.filter((at) => dateOf(at) === date);
      if (times.length > FEW) entries.push({ id, name, times });
      else entries.push(...times.map((at) => ({ id, name, times: [at] })));
    }
    const until = upcoming.at(-1);
    if (until && upcoming.length >= MOST_RUNS && dateOf(until) <= last) cut.push({ id, name, until });
  }
  for (const { entries } of days) entries.sort((a, b) => a.times[0]!.localeCompare(b.times[0]!) || a.name.localeCompare(b.name));
  return { days, cut };
}

const weekday = new Intl.DateTimeFormat('en', { weekday: 'short', timeZone: 'UTC' });

/** `Sun`. */
export const weekdayOf = (date: string) => weekday.format(new Date(`${date}T00:00:00Z`));
