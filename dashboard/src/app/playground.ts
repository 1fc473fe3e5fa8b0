// The link that opens a page's main document in the playground, where it runs only when told to.
import { stringifyDocument, type AnyVariables, type TypedDocumentNode } from '@urql/core';

export function playgroundUrl<Data, Variables extends AnyVariables>(
  document: TypedDocumentNode<Data, Variables>,
  variables: Variables,
): string {
  const fragment = new URLSearchParams({
    query: stringifyDocument(document),
    variables: JSON.stringify(variables, null, 2),
  });
  return `/playground#${fragment.toString()}`;
}
