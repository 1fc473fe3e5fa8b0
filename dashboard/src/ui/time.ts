// How times and durations are written.

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** A length of time in at most two units: `420 ms`, `1.4 s`, `12 s`, `3 min 5 s`, `2 h 10 min`, `4 d 3 h`. */
export function lengthOf(milliseconds: number): string {
  const ms = Math.max(0, milliseconds);
  if (Math.round(ms) === 0) return '0 s';
  if (ms < SECOND) return `${Math.round(ms)} ms`;
  if (ms < 10 * SECOND) return `${(Math.round(ms / 100) / 10).toFixed(1).replace(/\.0$/, '')} s`;
  if (ms < MINUTE) return `${Math.floor(ms / SECOND)} s`;
  const pair = (size: number, unit: string, smaller: number, smallerUnit: string) => {
    const rest = Math.floor((ms % size) / smaller);
    return `${Math.floor(ms / size)} ${unit}${rest > 0 ? ` ${rest} ${smallerUnit}` : ''}`;
  };
  if (ms < HOUR) return pair(MINUTE, 'min', SECOND, 's');
  if (ms < DAY) return pair(HOUR, 'h', MINUTE, 'min');
  return pair(DAY, 'd', HOUR, 'h');
}

/** An age in one unit, for narrow columns: `12 s`, `3 min`, `2 h`, `4 d`. */
export function ageOf(milliseconds: number): string {
  const ms = Math.max(0, milliseconds);
  if (ms < MINUTE) return `${Math.floor(ms / SECOND)} s`;
  if (ms < HOUR) return `${Math.floor(ms / MINUTE)} min`;
  return ms < DAY ? `${Math.floor(ms / HOUR)} h` : `${Math.floor(ms / DAY)} d`;
}

/** Milliseconds of an ISO 8601 duration without months and years. */
export function millisecondsOf(duration: string): number {
  const found = /^P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:([\d.]+)S)?)?$/.exec(duration);
  if (!found) return 0;
  const [days = 0, hours = 0, minutes = 0, seconds = 0] = found.slice(1).map((part) => Number(part ?? 0));
  return days * DAY + hours * HOUR + minutes * MINUTE + seconds * SECOND;
}

const formats = new Map<string, Intl.DateTimeFormat>();

function format(zone: string | undefined, parts: 'date' | 'time' | 'fine'): Intl.DateTimeFormat {
  const key = `${zone ?? ''} ${parts}`;
  let found = formats.get(key);
  if (!found) {
    const time = { hour: '2-digit', minute: '2-digit', second: '2-digit', hourCycle: 'h23' } as const;
    const date = { year: 'numeric', month: '2-digit', day: '2-digit' } as const;
    const chosen = parts === 'date' ? { ...date, ...time } : parts === 'time' ? time : { ...time, fractionalSecondDigits: 3 as const };
    found = new Intl.DateTimeFormat('sv-SE', { ...chosen, timeZone: zone });
    formats.set(key, found);
  }
  return found;
}

/** `2026-11-22 17:31:10` in the zone. */
export const dateTime = (at: string | number, zone: string | undefined) => format(zone, 'date').format(new Date(at));
/** `17:31:10` in the zone. */
export const timeOfDay = (at: string | number, zone: string | undefined) => format(zone, 'time').format(new Date(at));
/** `17:31:10.123` in the zone. */
export const fineTime = (at: string | number, zone: string | undefined) => format(zone, 'fine').format(new Date(at)).replace(',', '.');
/** The exact time in UTC, shown on hover everywhere. */
export const exact = (at: string | number) => new Date(at).toISOString();

/** The instant of `2026-11-22T17:30` in the zone, or null of what is no time. */
export function instantOf(local: string, zone: string | undefined): string | null {
  const asUtc = Date.parse(`${local}Z`);
  if (Number.isNaN(asUtc)) return null;
  const offsetAt = (at: number) => Date.parse(`${dateTime(at, zone).replace(' ', 'T')}Z`) - Math.floor(at / SECOND) * SECOND;
  // The offset of the guess may be that of the other side of a change of the clock.
  const guess = asUtc - offsetAt(asUtc);
  return new Date(asUtc - offsetAt(guess)).toISOString();
}
