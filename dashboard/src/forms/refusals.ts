// Why a form was refused, and beside which of its fields each reason stands.

/** A reason of the API. The path is that into the input, beginning with `input`. */
export interface Refusal {
  code: string;
  message: string;
  path: readonly string[];
}

const isBelow = (path: string, field: string) => path === field || path.startsWith(`${field}.`);

/** `proxyIds.0` of `["input", "proxyIds", "0"]`, and nothing of the input as a whole. */
export const placeOf = ({ path }: Refusal): string => path.slice(1).join('.');

/** What is said at a field: all reasons at it and below it. */
export function mistakeAt(refusals: readonly Refusal[], field: string): string {
  return refusals.filter((one) => isBelow(placeOf(one), field)).map(({ message }) => message).join(' ');
}

/** What is said below the form, because it belongs to none of its fields. */
export function mistakeOfWhole(refusals: readonly Refusal[], fields: readonly string[]): string {
  const others = refusals.filter((one) => !fields.some((field) => isBelow(placeOf(one), field)));
  return others.map(({ message }) => message).join(' ');
}

export const isStale = (refusals: readonly Refusal[]): boolean => refusals.some(({ code }) => code === 'STALE_VERSION');
