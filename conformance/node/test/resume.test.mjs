// Sockets that are torn down in the middle of a stream. The last cursor is sent as `after`, and no
// event or line is lost or repeated.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { assertWholeStream, cancel, enqueue, enqueueDemo, enqueueIdle, EVENTS, forget, limit, LOG, makeCommand, ofJob } from '../callboard.mjs';
import { collect, connect, read } from '../sockets.mjs';

const LINES = 20_000;
let printing;
let failing;

before(async () => {
  printing = await makeCommand('/usr/bin/seq', ['1', String(LINES)]);
  // Many events: three attempts, each of which fails at once.
  const backoff = { strategy: 'CONSTANT', initial: 'PT0.05S', jitter: 0 };
  failing = await makeCommand('/usr/bin/false', [], { maxAttempts: 3, backoff });
});

after(async () => {
  for (const command of [printing, failing]) if (command) await forget(command);
});

const linesOf = (batches) => batches.flatMap(({ lines }) => lines);

function assertWholeLog(batches) {
  assert.ok(batches.every(({ isReset, skipped }) => !isReset && skipped === 0), 'no reset, nothing skipped');
  const lines = linesOf(batches);
  lines.forEach((line, i) => assert.equal(line.sequence, i + 1, `line ${i + 1}`));
  const printed = lines.filter(({ stream }) => stream === 'STDOUT').map(({ text }) => Number(text));
  assert.equal(printed.length, LINES);
  printed.forEach((number, i) => assert.equal(number, i + 1));
}

test('a log of 20,000 lines is whole over sockets that are torn down repeatedly', limit, async (context) => {
  const { id: jobId } = await enqueue(printing.id);
  const batches = [];
  let kills = 0;
  for (let isComplete = false; !isComplete; ) {
    // The first socket is torn down at the first batch, the next ones every 4000 lines.
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

test('a finished job gives the whole log again, and exactly the rest from any cursor', limit, async () => {
  const { id: jobId } = await enqueue(printing.id);
  const { results: live } = await read(LOG, { jobId });
  assertWholeLog(live);
  const { results } = await read(LOG, { jobId });
  assertWholeLog(results);
  const middle = Math.floor(results.length / 2);
  for (const index of [0, middle, results.length - 1]) {
    const rest = await read(LOG, { jobId, after: results[index].cursor });
    const expected = linesOf(results.slice(index + 1)).map(({ sequence }) => sequence);
    assert.deepEqual(linesOf(rest.results).map(({ sequence }) => sequence), expected);
  }
});

test('events: a new socket after every event', limit, async () => {
  const { id: jobId } = await enqueue(failing.id);
  const events = [];
  for (let isComplete = false; !isComplete; ) {
    const part = await read(EVENTS, { jobId, after: events.at(-1)?.cursor }, () => true);
    events.push(...part.results);
    isComplete = part.isComplete;
  }
  // A stream with a cursor has no snapshot. The first snapshot's cursor leads to the first event.
  assertWholeStream(events, 'FAILED');
  assert.equal(events.filter(({ kind }) => kind === 'STARTED').length, 3);
});

test('events: a stream opened after the end has every event again, and exactly the rest from any cursor', limit, async () => {
  const { id: jobId } = await enqueue(failing.id);
  const live = (await read(EVENTS, { jobId })).results;
  assertWholeStream(live, 'FAILED');
  const { results, isComplete } = await read(EVENTS, { jobId });
  assert.ok(isComplete);
  assertWholeStream(results, 'FAILED');
  assert.deepEqual(ofJob(results), ofJob(live));
  assert.equal(results[0].version, results.at(-1).version, 'the snapshot shows the current job');
  for (const [index, { cursor }] of results.entries()) {
    const rest = await read(EVENTS, { jobId, after: cursor });
    assert.deepEqual(rest, { results: results.slice(index + 1), isComplete: true });
  }
});

test('events through a client that reconnects by itself, with the cursor set in its payload', limit, async (context) => {
  // The job ends only when the second socket is open.
  const { id: jobId } = await enqueueIdle();
  const payload = { query: EVENTS, variables: { jobId } };
  const sockets = [];
  const on = { opened: (socket) => sockets.push(socket) };
  const client = connect({ retryWait: async () => {}, shouldRetry: () => true, on });
  context.after(() => client.dispose());
  const events = [];
  await new Promise((complete, error) => {
    client.subscribe(payload, {
      next({ data }) {
        events.push(data.jobEvents);
        payload.variables.after = data.jobEvents.cursor;
        if (events.length === 2) sockets[0].terminate();
      },
      error,
      complete,
    });
    client.on('connected', () => sockets.length === 2 && cancel(jobId).catch(error));
  });
  assertWholeStream(events, 'CANCELLED');
  assert.equal(sockets.length, 2);
});

test('an invalid cursor is refused with a code', limit, async (context) => {
  const { id: jobId } = await enqueueDemo();
  const client = connect({ retryAttempts: 0 });
  context.after(() => client.dispose());
  const failure = await collect(client, { query: LOG, variables: { jobId, after: 'not a cursor' } }).then(() => null, (thrown) => thrown);
  assert.match(JSON.stringify(failure?.message ?? failure), /BAD_CURSOR/);
});
