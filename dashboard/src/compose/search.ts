// What is composed, as it stands in the address: a saved command, or a draft of some kind.
import { KINDS, type Kind } from './specs';

export interface ComposeSearch {
  command?: string;
  draft?: Kind;
  profile?: string;
}

export function validComposeSearch(given: Record<string, unknown>): ComposeSearch {
  const found: ComposeSearch = {};
  const draft = KINDS.find((one) => one === given.draft);
  if (typeof given.command === 'string' && given.command) found.command = given.command;
  else if (draft) found.draft = draft;
  if (typeof given.profile === 'string' && given.profile) found.profile = given.profile;
  return found;
}
