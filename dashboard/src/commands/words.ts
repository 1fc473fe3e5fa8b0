const KINDS: Record<string, string> = { HTTP: 'HTTP request', PLAYWRIGHT: 'Playwright script', PROGRAM: 'Program' };

export const kindOf = (kind: string) => KINDS[kind] ?? kind;

/** The fields of a command, as the page calls them. */
export const FIELD_NAMES: Record<string, string> = {
  name: 'Name', description: 'Description', queue: 'Queue', isPrivate: 'Private', spec: 'What it runs', inputSchema: 'Input schema', policy: 'Policy',
  profileId: 'Profile', proxyId: 'Proxy', serviceIds: 'Services',
};
