// What is left of a limit, in a fraction and in words.
import { lengthOf } from '../ui/time';

export interface Usage {
  name: string;
  limit: number | null;
  remaining: number | null;
  resetsAt: string | null;
  source: 'DECLARED' | 'OBSERVED';
  /** How much a declared rate limit holds at most, where that is not the amount of its period. */
  burst?: number;
}

/** The API says this for that many or more. */
const HUGE = 2_147_483_647;

const amount = (count: number) => (count >= HUGE ? '2,147,483,647+' : count.toLocaleString('en'));

/** The part that is left, 0 to 1, or null when that is not known. */
export function leftOf({ limit: perPeriod, burst, remaining }: Usage): number | null {
  const limit = burst ?? perPeriod;
  if (limit === null || remaining === null || limit <= 0) return null;
  return Math.max(0, Math.min(1, remaining / limit));
}

/** A declared rate limit is full when it holds its burst. */
export function withBurst(usage: Usage, rateLimits: readonly { name: string; burst: number }[]): Usage {
  const found = usage.source === 'DECLARED' ? rateLimits.find(({ name }) => name === usage.name) : undefined;
  return found ? { ...usage, burst: found.burst } : usage;
}

/** How pressing it is: nothing left, a tenth left, or enough. */
export function pressureOf(usage: Usage): 'empty' | 'low' | 'enough' {
  const left = leftOf(usage);
  if (usage.remaining === 0 || left === 0) return 'empty';
  return left !== null && left <= 0.1 ? 'low' : 'enough';
}

export function usageInWords({ limit, remaining, resetsAt, burst }: Usage, now: number): string {
  if (burst !== undefined && remaining !== null && limit !== null) return `${amount(remaining)} of ${amount(burst)} at once, ${amount(limit)} in its period`;
  const left = remaining === null ? 'not known' : `${amount(remaining)}${limit === null ? '' : ` of ${amount(limit)}`} left`;
  const until = resetsAt === null ? 0 : Date.parse(resetsAt) - now;
  return until > 0 ? `${left}, full in ${lengthOf(until)}` : left;
}
