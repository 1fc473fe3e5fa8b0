// What every program here needs: the endpoint and key from the environment, and calls by plain
// fetch.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';

function required(name) {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set. See conformance/README.md.`);
  return value;
}

export const endpoint = required('CALLBOARD_GRAPHQL');
export const key = required('CALLBOARD_API_KEY');
export const authorization = `Bearer ${key}`;
export const socketUrl = endpoint.replace(/^http/, 'ws');

/** Longest time for one test on a busy machine. No test waits longer than it must. */
export const limit = { timeout: 120_000 };

export async function post(query, variables = {}, headers = { authorization }) {
  const response = await fetch(endpoint, {
    method: 'POST',
    headers: { 'content-type': 'application/json', accept: 'application/graphql-response+json', ...headers },
    body: JSON.stringify({ query, variables }),
  });
  return response.json();
}

/** Like `post`, for a request that must succeed. */
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
  assert.ok(command, 'the demo catalogue must have a command "demo-program"');
  return command;
}

export function jobOf(payload) {
  assert.deepEqual(payload.userErrors, []);
  assert.match(payload.job.id, /^job_/);
  return payload.job;
}

export async function enqueue(commandId, more = {}) {
  const { jobEnqueue } = await ask(ENQUEUE, { input: { commandId, labels: ['clients'], ...more } });
  return jobOf(jobEnqueue);
}

export const enqueueDemo = async (more) => enqueue((await demoCommand()).id, more);

/** Enqueues a job that does nothing until it is cancelled. */
export const enqueueIdle = (more) => enqueueDemo({ runAt: new Date(Date.now() + 86_400_000).toISOString(), ...more });

export async function cancel(id) {
  const { jobCancel } = await ask('mutation Cancel($input: JobCancelInput!) { jobCancel(input: $input) { userErrors { code message } } }', {
    input: { id },
  });
  assert.deepEqual(jobCancel.userErrors, []);
}

/** Creates a program command for one test. `forget` deletes it afterwards. */
export async function makeCommand(program, programArguments = [], policy = undefined) {
  const spec = { program: { program, arguments: programArguments } };
  const { commandCreate } = await ask(
    'mutation Create($input: CommandCreateInput!) { commandCreate(input: $input) { command { id } userErrors { code message path } } }',
    { input: { name: `clients-${randomUUID()}`, spec, policy } },
  );
  assert.deepEqual(commandCreate.userErrors, []);
  return commandCreate.command;
}

export async function forget({ id }) {
  await ask('mutation Delete($input: CommandDeleteInput!) { commandDelete(input: $input) { deletedId userErrors { code } } }', { input: { id } });
}

export const CHANGES = `subscription Changes($filter: JobFilter, $after: String) {
  jobsChanged(filter: $filter, after: $after) { cursor isReset changes { id state version at isInFilter job { id version } } }
}`;

export const isTerminal = ({ state }) => ['SUCCEEDED', 'FAILED', 'CANCELLED'].includes(state);

/**
 * SNAPSHOT and RESET belong to the stream and show the job as the stream begins. They repeat a
 * version, so they are set aside first.
 */
export const isOfStream = ({ kind }) => kind === 'SNAPSHOT' || kind === 'RESET';
export const ofJob = (events) => events.filter((event) => !isOfStream(event));

/** Asserts every version once and in order from `first`: none is lost, repeated or too early. */
export function assertContiguous(events, first = 1) {
  const expected = events.map((_, index) => first + index);
  assert.deepEqual(events.map(({ version }) => version), expected, JSON.stringify(events));
}

/** Asserts a whole stream of one job: one snapshot, then every event from the first to the last. */
export function assertWholeStream(events, end = 'SUCCEEDED') {
  const [snapshot, ...rest] = events;
  assert.equal(snapshot?.kind, 'SNAPSHOT', 'a stream without a cursor begins with a snapshot');
  assert.deepEqual(rest.filter(isOfStream), [], 'a stream has no second snapshot and no reset');
  assertContiguous(rest);
  assert.equal(rest[0]?.kind, 'ENQUEUED', JSON.stringify(events));
  assert.equal(rest.at(-1).state, end, JSON.stringify(events));
  assert.ok(!rest.slice(0, -1).some(isTerminal), `only the last event ends the job: ${JSON.stringify(events)}`);
  const same = rest.find(({ version }) => version === snapshot.version);
  assert.equal(snapshot.state, same?.state, `the stream has the snapshot's version: ${JSON.stringify(events)}`);
}
