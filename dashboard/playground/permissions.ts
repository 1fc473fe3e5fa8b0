// What the role of a session does not allow, so that a tab says so before it is run.
import { Kind, parse, type FragmentDefinitionNode, type SelectionSetNode } from 'graphql';

/** The names of the root fields of a document, also those in fragments. */
function rootFields(query: string): string[] {
  const document = parse(query);
  const fragments = new Map<string, FragmentDefinitionNode>();
  for (const definition of document.definitions) {
    if (definition.kind === Kind.FRAGMENT_DEFINITION) fragments.set(definition.name.value, definition);
  }
  const names: string[] = [];
  const seen = new Set<string>();
  const walk = (set: SelectionSetNode): void => {
    for (const selection of set.selections) {
      if (selection.kind === Kind.FIELD) names.push(selection.name.value);
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
  return names;
}

/** The root fields of a document that are not in `can`. None while the document cannot be read. */
export function rolelessFields(query: string, can: string[]): string[] {
  try {
    const names = new Set(rootFields(query).filter((name) => !name.startsWith('__') && !can.includes(name)));
    return [...names];
  } catch {
    return [];
  }
}
