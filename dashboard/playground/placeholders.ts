// The default tabs name no job and, without the demo, no command, because none may exist yet. What
// stands in their place is looked up when the operation runs, so that every tab runs as it is.
import type { Answer, Request } from './http';

export const NEWEST_JOB = 'job_… is the newest job, or paste an id';
export const FIRST_COMMAND = 'command_… is the first command, or paste an id';

const LOOKUPS = [
  { placeholder: NEWEST_JOB, list: 'jobs', none: 'There is no job yet. Run the Enqueue tab first.' },
  { placeholder: FIRST_COMMAND, list: 'commands', none: 'There is no command yet. Create one with commandCreate.' },
] as const;

function replaced(value: unknown, ids: Map<string, string>): unknown {
  if (typeof value === 'string') return ids.get(value) ?? value;
  if (Array.isArray(value)) return value.map((item) => replaced(item, ids));
  if (value === null || typeof value !== 'object') return value;
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, replaced(inner, ids)]));
}

/** Returns the request with ids in place of its placeholders. Fails if there is no such object. */
export async function withIds(request: Request, send: (request: Request) => Promise<Answer>): Promise<Request> {
  const text = JSON.stringify(request.variables ?? {});
  const ids = new Map<string, string>();
  for (const { placeholder, list, none } of LOOKUPS) {
    if (!text.includes(placeholder)) continue;
    const query = `query Newest { ${list}(first: 1) { nodes { id } } }`;
    const { data, errors } = await send({ query, operationName: 'Newest' });
    const id = data?.[list]?.nodes[0]?.id;
    if (!id) throw new Error(errors?.[0]?.message ?? none);
    ids.set(placeholder, id);
  }
  if (ids.size === 0) return request;
  return { ...request, variables: replaced(request.variables, ids) as Record<string, unknown> };
}
