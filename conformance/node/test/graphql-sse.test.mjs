// GraphQL over server-sent events in distinct connections mode, on the same URL, for proxies that
// break WebSockets.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createClient } from 'graphql-sse';
import { assertWholeStream, authorization, COMMAND, endpoint, enqueueDemo, EVENTS, limit, LOG, ofJob } from '../callboard.mjs';

const client = createClient({ url: endpoint, headers: { authorization }, retryAttempts: 0 });

async function collect(payload) {
  const results = [];
  for await (const { data, errors } of client.iterate(payload)) {
    assert.equal(errors, undefined, JSON.stringify(errors));
    results.push(data);
  }
  return results;
}

test('a query', limit, async () => {
  const [{ command }] = await collect({ query: COMMAND, variables: { name: 'demo-program' } });
  assert.equal(command.kind, 'PROGRAM');
});

test("a job's events until the server completes the stream", limit, async () => {
  const { id } = await enqueueDemo();
  const results = await collect({ query: EVENTS, variables: { jobId: id } });
  assertWholeStream(results.map(({ jobEvents }) => jobEvents));
});

test('events: the stream is left after every event and reopened with its cursor', limit, async () => {
  const { id } = await enqueueDemo();
  const events = [];
  for (let isComplete = false; !isComplete; ) {
    const stream = client.iterate({ query: EVENTS, variables: { jobId: id, after: events.at(-1)?.cursor } });
    const { value, done } = await stream.next();
    isComplete = done;
    if (!done) events.push(value.data.jobEvents);
    await stream.return();
  }
  assertWholeStream(events);
  // After the end, a new stream has every event again.
  const results = await collect({ query: EVENTS, variables: { jobId: id } });
  assert.deepEqual(ofJob(results.map(({ jobEvents }) => jobEvents)), ofJob(events));
});

test("a job's log is contiguous from line 1", limit, async () => {
  const { id } = await enqueueDemo();
  const results = await collect({ query: LOG, variables: { jobId: id } });
  const lines = results.flatMap(({ jobLog }) => jobLog.lines);
  assert.ok(lines.length > 0, 'the demo program prints something');
  lines.forEach((line, i) => assert.equal(line.sequence, i + 1));
});
