// What every program here needs: the endpoint and the key from the environment, and a few calls by plain fetch.
import assert from 'node:assert/strict';

function required(name) {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set: see clients/README.md`);
  return value;
}

export const endpoint = required('CALLBOARD_GRAPHQL');
export const key = required('CALLBOARD_API_KEY');
export const authorization = `Bearer ${key}`;
export const socketUrl = endpoint.replace(/^http/, 'ws');

/** One test may take so long on a busy machine; nothing here waits longer than it must. */
export const limit = { timeout: 120_000 };

export async function post(query, variables = {}, headers = { authorization }) {
  const response = await fetch(endpoint, {
    method: 'POST',
    headers: { 'content-type': 'application/json', accept: 'application/graphql-response+json', ...headers },
    body: JSON.stringify({ query, variables }),
  });
  return response.json();
}

/** As `post`, for what must succeed. */
export async function ask(query, variables) {
  const { data, errors } = await post(query, variables);
  assert.equal(errors, undefined, JSON.stringify(errors));
  return data;
}

export const COMMAND = 'query Demo($name: String) { command(name: $name) { id name kind } }';
export const ENQUEUE = `mutation Enqueue($input: JobEnqueueInput!) {
  jobEnqueue(input: $input) { job { id state version } wasDuplicate userErrors { code message path } }
}`;
export const EVENTS = `subscription Events($jobId: ID!, $after: String) {
  jobEvents(jobId: $jobId, after: $after) { cursor kind at message attempt state version }
}`;
export const LOG = `subscription Log($jobId: ID!, $after: String) {
  jobLog(jobId: $jobId, after: $after) { cursor isReset skipped lines { sequence attempt stream text at } }
}`;

export async function demoCommand() {
  const { command } = await ask(COMMAND, { name: 'demo-program' });
  assert.ok(command, 'the demo catalogue has a command "demo-program"');
  return command;
}

export function jobOf(payload) {
  assert.deepEqual(payload.userErrors, []);
  assert.match(payload.job.id, /^job_/);
  return payload.job;
}

export async function enqueue(commandId) {
  const { jobEnqueue } = await ask(ENQUEUE, { input: { commandId, labels: ['clients'] } });
  return jobOf(jobEnqueue);
}

export const enqueueDemo = async () => enqueue((await demoCommand()).id);

export const isTerminal = ({ state }) => ['SUCCEEDED', 'FAILED', 'CANCELLED'].includes(state);

/** A whole stream of one job: a snapshot, then each version once, then the end. */
export function assertWholeStream(events) {
  assert.equal(events[0]?.kind, 'SNAPSHOT', 'without a cursor the stream begins with a snapshot');
  assertContiguous(events);
  assert.equal(events.at(-1).state, 'SUCCEEDED', JSON.stringify(events.at(-1)));
}

export function assertContiguous(events) {
  events.slice(1).forEach((event, i) => {
    assert.equal(event.version, events[i].version + 1, `after version ${events[i].version}: ${JSON.stringify(event)}`);
  });
}
