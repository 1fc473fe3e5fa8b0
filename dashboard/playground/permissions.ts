// What the role of a session does not allow, so that a tab says so before it is run, and what an answer
// says about the session.
import { Kind, parse, type FieldNode, type FragmentDefinitionNode, type SelectionSetNode } from 'graphql';
import type { Answer, Request } from '../shared/http';

/** An answer says that nobody is signed in. */
export interface Refusal {
  reason?: string;
}

/** The root fields of a document, also those in fragments. */
function rootFields(query: string): FieldNode[] {
  const document = parse(query);
  const fragments = new Map<string, FragmentDefinitionNode>();
  for (const definition of document.definitions) {
    if (definition.kind === Kind.FRAGMENT_DEFINITION) fragments.set(definition.name.value, definition);
  }
  const fields: FieldNode[] = [];
  const seen = new Set<string>();
  const walk = (set: SelectionSetNode): void => {
    for (const selection of set.selections) {
      if (selection.kind === Kind.FIELD) fields.push(selection);
      else if (selection.kind === Kind.INLINE_FRAGMENT) walk(selection.selectionSet);
      else if (!seen.has(selection.name.value)) {
        seen.add(selection.name.value);
        const fragment = fragments.get(selection.name.value);
        if (fragment) walk(fragment.selectionSet);
      }
    }
  };
  for (const definition of document.definitions) {
    if (definition.kind === Kind.OPERATION_DEFINITION) walk(definition.selectionSet);
  }
  return fields;
}

/** The root fields of a document that are not in `can`. None while the document cannot be read. */
export function rolelessFields(query: string, can: string[]): string[] {
  try {
    const names = rootFields(query).map((field) => field.name.value);
    return [...new Set(names.filter((name) => !name.startsWith('__') && !can.includes(name)))];
  } catch {
    return [];
  }
}

/**
 * What an answer says about its caller: an error that nobody is signed in, with its reason, or a
 * `viewer` that is null. Null if it says nothing of the kind.
 */
export function refusalIn({ query }: Request, { data, errors }: Answer): Refusal | null {
  const error = errors?.find(({ extensions }) => extensions?.code === 'UNAUTHENTICATED');
  if (error) return { reason: error.message };
  // Where there are errors, one of them may be why it is null.
  if (!data || errors?.length) return null;
  try {
    const isNobody = ({ name, alias }: FieldNode) => name.value === 'viewer' && data[(alias ?? name).value] === null;
    return rootFields(query).some(isNobody) ? {} : null;
  } catch {
    return null;
  }
}
