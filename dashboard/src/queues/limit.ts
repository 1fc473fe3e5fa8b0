/** The limit that was typed: null for none, undefined when it is not one. */
export function limitOf(text: string): number | null | undefined {
  const typed = text.trim().replaceAll(',', '');
  if (typed === '') return null;
  if (!/^\d{1,7}$/.test(typed)) return undefined;
  const limit = Number(typed);
  return limit >= 1 && limit <= 1_000_000 ? limit : undefined;
}
