// The graphql-ws client, as a dashboard uses it over one socket.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { assertWholeStream, COMMAND, ENQUEUE, enqueueDemo, EVENTS, jobOf, limit } from '../callboard.mjs';
import { collect, connect } from '../sockets.mjs';

let client;
before(() => {
  client = connect();
});
after(() => client.dispose());

test('a query', limit, async () => {
  const [{ command }] = await collect(client, { query: COMMAND, variables: { name: 'demo-program' } });
  assert.equal(command.kind, 'PROGRAM');
});

test('a mutation, then its events until the server completes the stream', limit, async () => {
  const [{ command }] = await collect(client, { query: COMMAND, variables: { name: 'demo-program' } });
  const [{ jobEnqueue }] = await collect(client, { query: ENQUEUE, variables: { input: { commandId: command.id } } });
  const { id } = jobOf(jobEnqueue);
  const results = await collect(client, { query: EVENTS, variables: { jobId: id } });
  assertWholeStream(results.map(({ jobEvents }) => jobEvents));
});

test('ten streams over one socket are all whole', limit, async () => {
  const jobs = await Promise.all(Array.from({ length: 10 }, enqueueDemo));
  const streams = await Promise.all(jobs.map(({ id }) => collect(client, { query: EVENTS, variables: { jobId: id } })));
  streams.forEach((results) => assertWholeStream(results.map(({ jobEvents }) => jobEvents)));
});

test('an invalid query gets an error message, and the socket stays open', limit, async () => {
  const errors = await collect(client, { query: '{ nothingOfThisName }' }).then(() => null, (thrown) => thrown);
  assert.ok(Array.isArray(errors) && errors.length > 0, String(errors));
  assert.match(errors[0].message, /nothingOfThisName/);
  assert.equal(errors[0].extensions?.code, 'VALIDATION_FAILED');
  const [{ __typename }] = await collect(client, { query: '{ __typename }' });
  assert.equal(__typename, 'Query');
});

test('the stream of an unknown job is refused with NOT_FOUND', limit, async () => {
  const variables = { jobId: 'job_00000000000000000000000000' };
  const failure = await collect(client, { query: EVENTS, variables }).then(() => null, (thrown) => thrown);
  assert.match(JSON.stringify(failure?.message ?? failure), /NOT_FOUND/);
});

test('the client keeps the connection alive by ping and pong', limit, async () => {
  const pinging = connect({ lazy: false, keepAlive: 50 });
  try {
    await new Promise((resolve) => pinging.on('pong', (isReceived) => isReceived && resolve()));
  } finally {
    await pinging.dispose();
  }
});

test('leaving a stream ends it, and other streams go on', limit, async () => {
  const staying = client.iterate({ query: 'subscription { jobsChanged { cursor isReset } }' });
  const leaving = client.iterate({ query: 'subscription { jobsChanged { cursor isReset } }' });
  assert.equal((await staying.next()).value.data.jobsChanged.isReset, true);
  assert.equal((await leaving.next()).value.data.jobsChanged.isReset, true);
  await leaving.return();
  await enqueueDemo();
  assert.equal((await staying.next()).value.data.jobsChanged.isReset, false);
  await staying.return();
});

test('a client whose key does not work is told why at once, and does not try again', limit, async () => {
  let connections = 0;
  const wrong = connect({
    connectionParams: { authorization: 'Bearer cb_wrong_key_of_nobody' },
    retryAttempts: 5,
    on: { connecting: () => (connections += 1) },
  });
  const began = Date.now();
  const end = await collect(wrong, { query: '{ __typename }' }).then(() => null, (thrown) => thrown);
  assert.equal(end?.code, 4401, String(end));
  assert.match(end.reason, /This API key is unknown/);
  assert.equal(connections, 1);
  assert.ok(Date.now() - began < 2000);
});
