// The default tabs name no job and, without the demo, no command, because none may exist yet. What
// stands in their place is looked up when the operation runs: the newest job, which is only watched,
// and the demo's command. No other command is chosen for anybody: it may need inputs, or do harm.
import { post, type Answer, type Request } from '../shared/http';

export const DEMO_COMMAND = 'demo-program';
export const NEWEST_JOB = 'job_… is the newest job, or paste an id';
export const OWN_COMMAND = `command_… is ${DEMO_COMMAND}, or paste the id of another`;

type Found = { jobs?: { nodes: { id: string }[] }; command?: { id: string } | null } | null | undefined;

const LOOKUPS = [
  {
    // Tabs of earlier versions, which browsers keep, have other texts behind it.
    placeholder: /^job_…/,
    query: 'query Newest { jobs(first: 1) { nodes { id } } }',
    idIn: (data: Found) => data?.jobs?.nodes[0]?.id,
    none: 'There is no job yet. Run the Enqueue tab first.',
  },
  {
    placeholder: /^command_…/,
    query: `query Demo { command(name: "${DEMO_COMMAND}") { id } }`,
    idIn: (data: Found) => data?.command?.id,
    none:
      `There is no command named ${DEMO_COMMAND} here. Run the Commands tab, choose a command, and paste its id in ` +
      'place of commandId, with an `input` if its inputSchema asks for one.',
  },
] as const;

type Replace = (text: string) => string;

function replaced(value: unknown, replace: Replace): unknown {
  if (typeof value === 'string') return replace(value);
  if (Array.isArray(value)) return value.map((item) => replaced(item, replace));
  if (value === null || typeof value !== 'object') return value;
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, replaced(inner, replace)]));
}

/** Returns the request with ids in place of its placeholders. Fails if there is no such object. */
export async function withIds(request: Request, send: (request: Request) => Promise<Answer>): Promise<Request> {
  let variables = request.variables;
  for (const { placeholder, query, idIn, none } of LOOKUPS) {
    let isThere = false;
    replaced(variables, (text) => ((isThere ||= placeholder.test(text)), text));
    if (!isThere) continue;
    const { data, errors } = await send({ query });
    const id = idIn(data as Found);
    if (!id) throw new Error(errors?.[0]?.message ?? none);
    variables = replaced(variables, (text) => (placeholder.test(text) ? id : text)) as Record<string, unknown>;
  }
  return variables === request.variables ? request : { ...request, variables };
}

/** Returns the demo command's id for the default tabs, or null without a demo or a session. */
export async function demoCommandId(): Promise<string | null> {
  const query = `query DemoCommand { command(name: "${DEMO_COMMAND}") { id } }`;
  try {
    const { data } = await post<{ command: { id: string } | null }>({ query, operationName: 'DemoCommand' }, {}, AbortSignal.timeout(3000));
    return data?.command?.id ?? null;
  } catch {
    return null;
  }
}
