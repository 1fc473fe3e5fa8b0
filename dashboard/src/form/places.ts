// Where a mistake is shown: at the field whose path it names, or at the nearest one around it.
import type { Draft, Mistake } from './draft';
import type { Field } from './schema';

/** The id of a field's element. It holds no space, which would end it in aria-describedby. */
export const idOf = (path: readonly string[]) => `field:${path.map(encodeURIComponent).join('/')}`;

/** `Line 2` for the second item of a list of lines. */
export const itemName = (title: string | null, name: string) => (title && title !== name ? `${title} ${name}` : name);

const startsWith = (path: readonly string[], start: readonly string[]) => start.every((part, index) => path[index] === part);

/** What is wrong with exactly this value. */
export const at = (mistakes: readonly Mistake[], path: readonly string[]): string[] =>
  mistakes.filter((one) => one.path.length === path.length && startsWith(one.path, path)).map(({ message }) => message);

/** What is wrong with this value or something in it. */
export const below = (mistakes: readonly Mistake[], path: readonly string[]): string[] =>
  mistakes
    .filter((one) => startsWith(one.path, path))
    .map((one) => (one.path.length > path.length ? `${one.path.slice(path.length).join('.')}: ${one.message}` : one.message));

/** The properties that an object must have and has not. */
export function missing(field: Field, draft: Draft): string[] {
  if (field.kind !== 'object' || draft.kind !== 'object') return [];
  return field.properties.filter(({ name, isRequired }) => isRequired && (draft.fields[name]?.kind ?? 'absent') === 'absent').map(({ name }) => name);
}

/** Moves the focus to the field of a path, or to the nearest one around it. */
export function focusField(path: readonly string[]): void {
  for (let length = path.length; length > 0; length--) {
    const found = document.getElementById(idOf(path.slice(0, length)));
    if (!found) continue;
    for (let box = found.closest('details'); box; box = box.parentElement?.closest('details') ?? null) box.open = true;
    const first = found.matches('input, select, textarea, button') ? found : found.querySelector<HTMLElement>('input, select, textarea, button');
    (first ?? found).scrollIntoView({ block: 'center' });
    return first?.focus();
  }
}
