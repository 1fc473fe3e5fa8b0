// The promise of the streams: hand back the last cursor as `after`, and nothing is lost and nothing comes twice.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, test } from 'node:test';
import { ask, assertContiguous, enqueue, enqueueDemo, EVENTS, limit, LOG } from '../callboard.mjs';
import { collect, connect } from '../sockets.mjs';

const LINES = 20_000;
let command;

before(async () => {
  const name = `clients-seq-${randomUUID()}`;
  const spec = { program: { program: '/usr/bin/seq', arguments: ['1', String(LINES)] } };
  const { commandCreate } = await ask(
    'mutation Create($input: CommandCreateInput!) { commandCreate(input: $input) { command { id } userErrors { code message path } } }',
    { input: { name, spec } },
  );
  assert.deepEqual(commandCreate.userErrors, []);
  command = commandCreate.command;
});

after(async () => {
  if (!command) return;
  await ask('mutation Delete($input: CommandDeleteInput!) { commandDelete(input: $input) { deletedId userErrors { code } } }', {
    input: { id: command.id },
  });
});

/** Reads a stream on a socket of its own until it completes, or until `enough` and then the socket is torn down. */
async function read(query, variables, enough) {
  let socket;
  const client = connect({ retryAttempts: 0, on: { opened: (opened) => (socket = opened) } });
  const results = [];
  let isKilled = false;
  const isComplete = await new Promise((resolve, reject) => {
    client.subscribe({ query, variables }, {
      next({ data, errors }) {
        if (errors) return reject(new Error(JSON.stringify(errors)));
        // What still comes after the kill was not seen.
        if (isKilled) return;
        results.push(Object.values(data)[0]);
        isKilled = enough(results);
        if (isKilled) socket.terminate();
      },
      error: (error) => (isKilled ? resolve(false) : reject(error instanceof Error ? error : new Error(JSON.stringify(error)))),
      complete: () => resolve(true),
    });
  });
  return { results, isComplete };
}

const linesOf = (batches) => batches.flatMap(({ lines }) => lines);

function assertWholeLog(batches) {
  assert.ok(batches.every(({ isReset, skipped }) => !isReset && skipped === 0), 'no reset, nothing skipped');
  const lines = linesOf(batches);
  lines.forEach((line, i) => assert.equal(line.sequence, i + 1, `line ${i + 1}`));
  const printed = lines.filter(({ stream }) => stream === 'STDOUT').map(({ text }) => Number(text));
  assert.equal(printed.length, LINES);
  printed.forEach((number, i) => assert.equal(number, i + 1));
}

test('a log of 20,000 lines over sockets that are torn down again and again', limit, async (context) => {
  const { id: jobId } = await enqueue(command.id);
  const batches = [];
  let kills = 0;
  for (let isComplete = false; !isComplete; ) {
    // The first socket dies at the first batch, the next ones every 4000 lines.
    const goal = kills * 4000;
    const enough = (results) => goal < LINES && linesOf(results).length + linesOf(batches).length > goal;
    const part = await read(LOG, { jobId, after: batches.at(-1)?.cursor }, enough);
    batches.push(...part.results);
    isComplete = part.isComplete;
    if (!isComplete) kills += 1;
  }
  context.diagnostic(`${kills} sockets torn down, ${batches.length} batches`);
  assert.ok(kills >= 1);
  assertWholeLog(batches);
});

test('an ended job: the whole log again, and exactly the rest from any cursor', limit, async () => {
  const { id: jobId } = await enqueue(command.id);
  const { results } = await read(LOG, { jobId }, () => false);
  assertWholeLog(results);
  const middle = Math.floor(results.length / 2);
  for (const index of [0, middle, results.length - 1]) {
    const rest = await read(LOG, { jobId, after: results[index].cursor }, () => false);
    const expected = linesOf(results.slice(index + 1)).map(({ sequence }) => sequence);
    assert.deepEqual(linesOf(rest.results).map(({ sequence }) => sequence), expected);
  }
});

test('events: a new socket after every single one', limit, async () => {
  const { id: jobId } = await enqueueDemo();
  const events = [];
  for (let isComplete = false; !isComplete; ) {
    const part = await read(EVENTS, { jobId, after: events.at(-1)?.cursor }, () => true);
    events.push(...part.results);
    isComplete = part.isComplete;
  }
  assert.equal(events[0].kind, 'SNAPSHOT');
  assert.ok(events.slice(1).every(({ kind }) => kind !== 'SNAPSHOT' && kind !== 'RESET'), 'with a cursor there is no snapshot');
  assertContiguous(events);
  assert.equal(events.at(-1).state, 'SUCCEEDED');
});

test('events through a client that comes back by itself, with the cursor put into its payload', limit, async () => {
  const { id: jobId } = await enqueueDemo();
  const payload = { query: EVENTS, variables: { jobId } };
  let socket;
  const client = connect({ retryWait: async () => {}, shouldRetry: () => true, on: { opened: (opened) => (socket = opened) } });
  const events = [];
  await new Promise((complete, error) => {
    client.subscribe(payload, {
      next({ data }) {
        if (payload.variables.after === data.jobEvents.cursor) return error(new Error(`${data.jobEvents.cursor} came twice`));
        events.push(data.jobEvents);
        payload.variables.after = data.jobEvents.cursor;
        if (events.length === 2) socket.terminate();
      },
      error,
      complete,
    });
  });
  assertContiguous(events);
  assert.equal(events.at(-1).state, 'SUCCEEDED');
  await client.dispose();
});

test('a cursor that never was is refused with a code, not with silence', limit, async () => {
  const { id: jobId } = await enqueueDemo();
  const client = connect({ retryAttempts: 0 });
  const failure = await collect(client, { query: LOG, variables: { jobId, after: 'not a cursor' } }).then(() => null, (thrown) => thrown);
  assert.match(JSON.stringify(failure?.message ?? failure), /BAD_CURSOR/);
  await client.dispose();
});
