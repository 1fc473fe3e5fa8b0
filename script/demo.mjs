#!/usr/bin/env node
// The demo that script/server puts into the catalogue, and a run of it to watch.
//
//   node script/demo.mjs seed [STATE]   waits for API and workers, then creates or updates the demo
//   node script/demo.mjs run [STATE]    runs the three commands and saves the screenshot
//
// STATE is the directory of server.json, by default .callboard in the checkout. Uses GraphQL over
// plain HTTP and subscriptions as server-sent events, and needs only Node.
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const checkout = dirname(dirname(fileURLToPath(import.meta.url)));
const state = process.argv[3] ?? join(checkout, '.callboard');
const server = JSON.parse(await readFile(join(state, 'server.json'), 'utf8'));
const site = new URL('/demo', server.graphql).href;

// What api/src/demo expects. None of it is secret, because the site shows it on its first page.
const account = { username: 'demo', password: 'callboard' };
const token = 'demo-token-0001';
const WORKERS = 2;
const READY_WITHIN = 60_000;
const RUN_WITHIN = 180_000;

const LOGIN_SCRIPT = `\
export default async ({ page, services, profile, log, progress, artifact, step }) => {
  const shop = services['demo-api'].baseUrl;
  progress(0, 'opening the site');
  await step('open', () => page.goto(shop));
  if (page.url().endsWith('/login')) {
    progress(0.25, 'signing in');
    await step('sign in', async () => {
      await page.fill('#username', profile.environment.DEMO_USERNAME);
      await page.fill('#password', profile.secrets.DEMO_PASSWORD);
      await page.click('button[type=submit]');
      await page.waitForURL('**/orders');
    });
  } else {
    log('still signed in, because the profile has kept the session');
  }
  progress(0.5, 'reading the orders');
  const rows = await step('read', () =>
    page.locator('#orders tbody tr').evaluateAll((rows) =>
      rows.map((row) => [...row.cells].map((cell) => cell.textContent.trim()))));
  const orders = rows.map(([id, customer, item, state, amount]) => ({ id, customer, item, state, amount }));
  for (const order of orders) log(order.id, order.state.padEnd(7), order.amount.padStart(10), order.customer);
  progress(0.8, 'taking a screenshot');
  await artifact.screenshot('orders.png', { fullPage: true });
  progress(1, 'done');
  return { user: await page.textContent('#user'), total: await page.textContent('#total'), orders };
};
`;

// ---------------------------------------------------------------- GraphQL

async function post(body, headers = {}) {
  return fetch(server.graphql, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${server.apiKey}`, ...headers },
    body: JSON.stringify(body),
  });
}

function dataOf({ data, errors }) {
  if (errors?.length) throw new Error(errors.map((error) => `${error.message} (${error.path?.join('.') ?? error.extensions?.code ?? '-'})`).join('; '));
  return data;
}

async function graphql(query, variables = {}) {
  const response = await post({ query, variables });
  return dataOf(await response.json());
}

/** Runs a mutation with one payload. Throws if the server refused it. */
async function mutate(name, type, input, selection) {
  const query = `mutation ($input: ${type}!) { ${name}(input: $input) { ${selection} userErrors { code message path } } }`;
  const payload = (await graphql(query, { input }))[name];
  if (payload.userErrors.length) {
    throw new Error(`${name}: ${payload.userErrors.map(({ message, path }) => `${path.join('.')}: ${message}`).join('; ')}`);
  }
  return payload;
}

/** A subscription in the distinct connections mode of GraphQL over SSE. */
async function* subscribe(query, variables, signal) {
  const response = await fetch(server.graphql, {
    method: 'POST',
    headers: { 'content-type': 'application/json', accept: 'text/event-stream', authorization: `Bearer ${server.apiKey}` },
    body: JSON.stringify({ query, variables }),
    signal,
  });
  if (!response.ok || !response.headers.get('content-type')?.startsWith('text/event-stream')) {
    throw new Error(`subscription: ${response.status} ${await response.text()}`);
  }
  let buffer = '';
  for await (const piece of response.body.pipeThrough(new TextDecoderStream())) {
    buffer += piece.replaceAll('\r\n', '\n');
    for (let end; (end = buffer.indexOf('\n\n')) >= 0; buffer = buffer.slice(end + 2)) {
      const fields = buffer.slice(0, end).split('\n').filter((line) => !line.startsWith(':'));
      const value = (name) => fields.filter((line) => line.startsWith(`${name}:`)).map((line) => line.slice(name.length + 1).trimStart()).join('\n');
      if (value('event') === 'complete') return;
      if (value('event') === 'next') yield dataOf(JSON.parse(value('data')));
    }
  }
}

// ---------------------------------------------------------------- seed

/** Waits until the API is ready and both workers have registered. */
async function ready() {
  const deadline = Date.now() + READY_WITHIN;
  for (let last = 'no response'; ; await sleep(50)) {
    try {
      const answer = await fetch(new URL('/readyz', server.graphql));
      if (answer.ok) {
        const { workers } = await graphql('{ workers { hostname status startedAt heartbeatAt } }');
        const active = workers.filter(({ status }) => status === 'ACTIVE').length;
        if (active >= WORKERS) return;
        last = `${active} of ${WORKERS} workers are active`;
      } else {
        last = `/readyz: ${answer.status} ${await answer.text()}`;
      }
    } catch (error) {
      last = error.cause?.message ?? error.message;
    }
    if (Date.now() > deadline) throw new Error(`not ready: ${last}`);
  }
}

const same = (one, other) => JSON.stringify(one) === JSON.stringify(other);

async function seedService() {
  const wanted = { name: 'demo-api', baseUrl: site, settings: { quote: '/api/quote' } };
  const { service } = await graphql('{ service(name: "demo-api") { id baseUrl } }');
  if (!service) return (await mutate('serviceCreate', 'ServiceCreateInput', { ...wanted, token }, 'service { id }')).service.id;
  if (service.baseUrl !== wanted.baseUrl) {
    await mutate('serviceUpdate', 'ServiceUpdateInput', { id: service.id, baseUrl: wanted.baseUrl }, 'service { id }');
  }
  return service.id;
}

async function seedProxy() {
  // script/server sets where the proxy listens and its credentials. A seed by hand leaves the proxy
  // as it is.
  const { CALLBOARD_DEMO_PROXY_LISTEN: address, CALLBOARD_DEMO_PROXY_USER: username, CALLBOARD_DEMO_PROXY_PASSWORD: password } = process.env;
  const { proxy } = await graphql('{ proxy(name: "demo-proxy") { id address } }');
  if (!proxy) {
    const input = { name: 'demo-proxy', protocol: 'HTTP', address, username, password };
    return (await mutate('proxyCreate', 'ProxyCreateInput', input, 'proxy { id }')).proxy.id;
  }
  if (address && proxy.address !== address) {
    await mutate('proxyUpdate', 'ProxyUpdateInput', { id: proxy.id, address, username, password }, 'proxy { id }');
  }
  return proxy.id;
}

async function seedProfile(serviceId, proxyId) {
  const input = {
    name: 'demo',
    chromeProfilePath: 'demo/alice',
    description: 'Signs in to the demo site.',
    labels: ['demo'],
    environment: { DEMO_USERNAME: account.username },
    secrets: [{ name: 'DEMO_PASSWORD', value: account.password }],
    serviceIds: [serviceId],
    proxyIds: [proxyId],
  };
  const { profile } = await graphql('{ profile(name: "demo") { id environment services { id } proxies { id } secrets { name } } }');
  if (!profile) return (await mutate('profileCreate', 'ProfileCreateInput', input, 'profile { id }')).profile.id;
  const isWhole = same(profile.environment, input.environment) && profile.services.some(({ id }) => id === serviceId) && profile.proxies.some(({ id }) => id === proxyId)
    && input.secrets.every(({ name }) => profile.secrets.some((secret) => secret.name === name));
  if (!isWhole) {
    const { name, chromeProfilePath, ...rest } = input;
    await mutate('profileUpdate', 'ProfileUpdateInput', { id: profile.id, ...rest }, 'profile { id }');
  }
  return profile.id;
}

const SPEC = `spec { __typename
  ... on PlaywrightSpec { script screenshot }
  ... on HttpSpec { method url headers }
  ... on ProgramSpec { program arguments } }`;

async function seedCommand(name, description, spec, rest) {
  const { command } = await graphql(`query ($name: String!) { command(name: $name) { id ${SPEC} } }`, { name });
  if (!command) {
    await mutate('commandCreate', 'CommandCreateInput', { name, description, spec, ...rest }, 'command { id }');
    return;
  }
  const { __typename, ...stored } = command.spec;
  const wanted = Object.values(spec)[0];
  if (!Object.entries(wanted).every(([key, value]) => same(stored[key], value))) {
    await mutate('commandUpdate', 'CommandUpdateInput', { id: command.id, spec, ...rest }, 'command { id }');
  }
}

async function seed() {
  await ready();
  const serviceId = await seedService();
  const profileId = await seedProfile(serviceId, await seedProxy());
  await seedCommand(
    'demo-login',
    'Signs in to the demo site through the demo proxy, reads the orders and takes a screenshot.',
    { playwright: { script: LOGIN_SCRIPT, screenshot: 'ON_FAILURE' } },
    { profileId, serviceIds: [serviceId], policy: { timeout: 'PT2M' } },
  );
  await seedCommand(
    'demo-http',
    "Gets a quote from the demo service, with the service's token.",
    { http: { method: 'GET', url: `${site}/api/quote`, headers: { authorization: 'Bearer {{ services["demo-api"].token }}' } } },
    { profileId, serviceIds: [serviceId], policy: { timeout: 'PT30S' } },
  );
  await seedCommand(
    'demo-program',
    'Prints a few lines. Needs no profile and no service.',
    { program: { program: '/usr/bin/printf', arguments: ['%s\\n', 'The first line.', 'The second line.', 'And the last one.'] } },
    { policy: { timeout: 'PT30S' } },
  );
}

// ---------------------------------------------------------------- run

const isTerminal = process.stdout.isTTY && !process.env.NO_COLOR;
const paint = (code, text) => (isTerminal ? `\u001b[${code}m${text}\u001b[0m` : text);
const COLOURS = { SUCCEEDED: 32, FAILED: 31, CANCELLED: 31, LOST: 31, STARTED: 36, PROGRESSED: 36 };

function tell(name, text) {
  console.log(`${paint(2, name.padEnd(13))} ${text}`);
}

function bar(fraction) {
  const full = Math.round(fraction * 20);
  return `${'█'.repeat(full)}${'░'.repeat(20 - full)} ${String(Math.round(fraction * 100)).padStart(3)} %`;
}

async function followEvents(name, jobId, signal) {
  const query = `subscription ($jobId: ID!) { jobEvents(jobId: $jobId) {
    kind message attempt state job { progress { fraction message } waiting { explanation } } } }`;
  for await (const { jobEvents: event } of subscribe(query, { jobId }, signal)) {
    const progress = event.job?.progress;
    if (event.kind === 'PROGRESSED') {
      if (progress?.fraction != null) tell(name, `${paint(36, bar(progress.fraction))} ${progress.message ?? ''}`);
    } else if (event.kind !== 'SNAPSHOT') {
      tell(name, `${paint(COLOURS[event.kind] ?? 33, event.kind.padEnd(9))} ${event.message ?? ''}`);
    }
  }
}

async function followLog(name, jobId, signal) {
  const query = 'subscription ($jobId: ID!) { jobLog(jobId: $jobId) { lines { stream text } } }';
  for await (const { jobLog } of subscribe(query, { jobId }, signal)) {
    for (const line of jobLog.lines) tell(name, `  ${paint(2, '│')} ${line.stream === 'STDERR' ? paint(31, line.text) : line.text}`);
  }
}

async function runCommand(name) {
  const { command } = await graphql('query ($name: String!) { command(name: $name) { id } }', { name });
  if (!command) throw new Error(`there is no command ${name}. Run script/server first.`);
  const input = { commandId: command.id, labels: ['demo'] };
  const { job } = await mutate('jobEnqueue', 'JobEnqueueInput', input, 'job { id composed { display } }');
  tell(name, paint(1, job.id));
  tell(name, `  ${job.composed.display.replaceAll('\n', ' ').slice(0, 110)}`);
  const signal = AbortSignal.timeout(RUN_WITHIN);
  await Promise.all([followEvents(name, job.id, signal), followLog(name, job.id, signal)]);
  const query = `query ($id: ID!) { job(id: $id) { id state result failure { code message }
    artifacts { name contentType sizeBytes url } } }`;
  return { name, ...(await graphql(query, { id: job.id })).job };
}

async function download({ name, url }, jobId) {
  const directory = join(state, 'demo', jobId);
  await mkdir(directory, { recursive: true });
  const response = await fetch(new URL(url, server.graphql));
  if (!response.ok) throw new Error(`artifact ${name}: ${response.status} ${await response.text()}`);
  const file = join(directory, name);
  await writeFile(file, Buffer.from(await response.arrayBuffer()));
  return file;
}

async function run() {
  const outcomes = await Promise.allSettled(['demo-login', 'demo-http', 'demo-program'].map(runCommand));
  console.log();
  let isGood = true;
  for (const { status, value: job, reason } of outcomes) {
    if (status === 'rejected') {
      isGood = false;
      console.log(paint(31, reason.cause?.message ?? reason.message));
      continue;
    }
    isGood &&= job.state === 'SUCCEEDED';
    tell(job.name, paint(COLOURS[job.state] ?? 33, job.state));
    if (job.failure) tell(job.name, `${job.failure.code}: ${job.failure.message}`);
    if (job.result !== null) tell(job.name, JSON.stringify(job.result).slice(0, 400));
    for (const artifact of job.artifacts.filter(({ url, contentType }) => url && contentType.startsWith('image/'))) {
      tell(job.name, `screenshot: ${relative(process.cwd(), await download(artifact, job.id))}`);
    }
    if (job.name === 'demo-login' && job.state === 'SUCCEEDED' && !job.artifacts.some(({ name }) => name === 'orders.png')) {
      isGood = false;
      tell(job.name, paint(31, 'there is no screenshot'));
    }
  }
  process.exitCode = isGood ? 0 : 1;
}

const actions = { seed, run };
const action = actions[process.argv[2]];
if (!action) {
  console.error('usage: node script/demo.mjs seed|run [STATE]');
  process.exit(2);
}
try {
  await action();
} catch (error) {
  console.error(`demo: ${error.cause?.message ?? error.message}`);
  process.exit(1);
}
