// The real API that these tests run against, and what they put into it.
//
// CALLBOARD_URL is where the pages are served, and CALLBOARD_API_KEY an ADMIN's key.
import { setTimeout as pause } from 'node:timers/promises';
import { PATIENCE } from '../browser.mjs';

export const URL_OF_PAGES = (process.env.CALLBOARD_URL ?? '').replace(/\/$/, '');
export const KEY = process.env.CALLBOARD_API_KEY ?? '';
if (!URL_OF_PAGES || !KEY) throw new Error('Set CALLBOARD_URL and CALLBOARD_API_KEY to the API to test against.');

export async function graphql(query, variables = {}) {
  const response = await fetch(`${URL_OF_PAGES}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${KEY}` },
    body: JSON.stringify({ query, variables }),
  });
  const { data, errors } = await response.json();
  if (errors?.length) throw new Error(errors.map(({ message }) => message).join('; '));
  return data;
}

async function mutate(name, type, input, selection) {
  const query = `mutation ($input: ${type}!) { ${name}(input: $input) { ${selection} userErrors { path message } } }`;
  const payload = (await graphql(query, { input }))[name];
  if (payload.userErrors.length > 0) throw new Error(`${name}: ${JSON.stringify(payload.userErrors)}`);
  return payload;
}

/** Returns the id of a command that runs this shell script, and creates it when it is missing. */
export async function shell(name, script, { policy = {}, ...rest } = {}) {
  const { command } = await graphql('query ($name: String!) { command(name: $name) { id } }', { name });
  const spec = { program: { program: '/bin/sh', arguments: ['-c', script] } };
  const settings = { spec, policy: { timeout: 'PT10M', maxAttempts: 1, ...policy }, ...rest };
  if (command) return (await mutate('commandUpdate', 'CommandUpdateInput', { id: command.id, ...settings }, 'command { id }')).command.id;
  return (await mutate('commandCreate', 'CommandCreateInput', { name, ...settings }, 'command { id }')).command.id;
}

export async function enqueue(commandId, rest = {}) {
  return (await mutate('jobEnqueue', 'JobEnqueueInput', { commandId, ...rest }, 'job { id }')).job.id;
}

export async function enqueueMany(commandId, count, rest = {}) {
  const jobs = Array.from({ length: count }, () => ({ commandId, ...rest }));
  return (await mutate('jobsEnqueue', 'JobsEnqueueInput', { jobs }, 'jobs { id }')).jobs.map(({ id }) => id);
}

export async function cancel(id) {
  await mutate('jobCancel', 'JobCancelInput', { id, reason: 'The test is over.' }, 'job { id }');
}

/** Waits until `read` returns something true, and returns it. */
export async function until(what, read, within = PATIENCE) {
  const end = Date.now() + within;
  for (;;) {
    const found = await read();
    if (found) return found;
    if (Date.now() > end) throw new Error(`${what}: not within ${within / 1000} s`);
    await pause(100);
  }
}

export const jobState = async (id) => (await graphql('query ($id: ID!) { job(id: $id) { state } }', { id })).job.state;
export const untilState = (id, state) => until(`${id} ${state}`, async () => (await jobState(id)) === state);
export const untilFinished = (id) =>
  until(`${id} finished`, async () => ['SUCCEEDED', 'FAILED', 'CANCELLED'].includes(await jobState(id)));

export const NOISE = `awk 'BEGIN { for (i = 1; i <= 50000; i++) printf "line %d: the quick brown fox jumps over the lazy dog\\n", i }'`;
export const COLOURS = String.raw`
printf '\033[1mbold\033[0m \033[31mred\033[0m \033[32mgreen\033[0m \033[33myellow\033[0m \033[34mblue\033[0m\n'
for i in 16 46 51 118 190 226 231 196 21 240; do printf "\033[38;5;%smcolour $i\033[0m " $i; done; echo
printf '\033[48;2;255;230;0m\033[30mblack on yellow\033[0m \033[7minverse\033[0m\n'
echo 'to standard error' >&2
echo 'the end'`;
