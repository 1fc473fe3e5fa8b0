// GraphQL over server-sent events, distinct connections mode, on the same URL: for proxies that break WebSockets.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createClient } from 'graphql-sse';
import { assertWholeStream, authorization, COMMAND, endpoint, enqueueDemo, EVENTS, limit, LOG } from '../callboard.mjs';

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

test("a job's log, contiguous from line 1", limit, async () => {
  const { id } = await enqueueDemo();
  const results = await collect({ query: LOG, variables: { jobId: id } });
  const lines = results.flatMap(({ jobLog }) => jobLog.lines);
  assert.ok(lines.length > 0, 'the demo program prints something');
  lines.forEach((line, i) => assert.equal(line.sequence, i + 1));
});
