// What was filled in without its secrets, for a link that anybody may see.
import { valueOf, type Draft } from './draft';
import { describe, isObject, type Json, type Schema } from './schema';

const MASK = '***';

function all(pairs: readonly (readonly [string, Json | undefined])[]): Json {
  return Object.fromEntries(pairs.filter((pair): pair is readonly [string, Json] => pair[1] !== undefined));
}

/** The JSON of a draft with `***` for whatever the schema marks writeOnly, names in it included. */
export function maskedOf(schema: Schema, root: Schema, draft: Draft): Json | undefined {
  const field = describe(schema, root);
  if (draft.kind === 'absent') return undefined;
  if (field.isSecret) return MASK;
  if (field.kind === 'object' && draft.kind === 'object') {
    const rest = draft.rest.kind === 'json' && draft.rest.isSecret ? { '***': MASK } : valueOf(draft.rest).value;
    return all([
      ...Object.entries(isObject(rest) ? (rest as { [name: string]: Json }) : {}),
      ...field.properties.map(({ name, schema: own }) => [name, maskedOf(own, root, draft.fields[name] ?? { kind: 'absent' })] as const),
    ]);
  }
  if (field.kind === 'list' && draft.kind === 'list') return draft.items.flatMap((one) => maskedOf(field.items, root, one.draft) ?? []);
  if (field.kind === 'map' && draft.kind === 'map') return all(draft.entries.map((one) => [one.name, maskedOf(field.values, root, one.draft)] as const));
  if (field.kind === 'choice' && draft.kind === 'choice') {
    const option = field.options[draft.index];
    return option ? maskedOf(option.schema, root, draft.draft) : undefined;
  }
  return valueOf(draft).value;
}
