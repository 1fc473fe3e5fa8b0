// A stream opened before the job exists: jobsChanged with a filter gives the id, jobEvents the
// rest.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { test } from 'node:test';
import { assertWholeStream, cancel, CHANGES, enqueueDemo, enqueueIdle, EVENTS, isTerminal, limit } from '../callboard.mjs';
import { collect, connect, read } from '../sockets.mjs';

/** Asserts each state of each job at most once and in order, however the changes were batched. */
function assertOrdered(changes) {
  const newest = new Map();
  for (const change of changes) {
    const before = newest.get(change.id) ?? 0;
    assert.ok(change.version > before, `version ${change.version} of ${change.id} after ${before}`);
    assert.ok(change.job.version >= change.version, 'the current job is not older than its change');
    newest.set(change.id, change.version);
  }
}

test('opened before the job is enqueued', limit, async (context) => {
  const label = randomUUID();
  const client = connect();
  context.after(() => client.dispose());
  const following = client.iterate({ query: CHANGES, variables: { filter: { labels: [label] } } });
  const { jobsChanged: first } = (await following.next()).value.data;
  assert.deepEqual(first, { cursor: first.cursor, isReset: true, changes: [] });

  // Another job does not match the filter.
  await enqueueDemo();
  const { id } = await enqueueDemo({ labels: [label] });
  const changes = [];
  let events;
  while (!changes.some(isTerminal)) {
    const { jobsChanged } = (await following.next()).value.data;
    assert.equal(jobsChanged.isReset, false);
    changes.push(...jobsChanged.changes);
    events ??= collect(client, { query: EVENTS, variables: { jobId: changes[0].id } });
  }
  assert.ok(changes.every((change) => change.id === id && change.isInFilter && change.job.id === id), JSON.stringify(changes));
  assertOrdered(changes);
  assertWholeStream((await events).map(({ jobEvents }) => jobEvents));
  await following.return();

  // From the very first cursor, after the end, no change is lost.
  const again = client.iterate({ query: CHANGES, variables: { filter: { labels: [label] }, after: first.cursor } });
  const replayed = [];
  while (!replayed.some(isTerminal)) replayed.push(...(await again.next()).value.data.jobsChanged.changes);
  assertOrdered(replayed);
  assert.deepEqual(replayed.at(-1), changes.at(-1));
  await again.return();
});

test('a job that leaves the filter is reported as such', limit, async (context) => {
  const label = randomUUID();
  const client = connect();
  context.after(() => client.dispose());
  const following = client.iterate({ query: CHANGES, variables: { filter: { labels: [label], states: ['SCHEDULED'] } } });
  await following.next();
  // The job stays in the filter until it is reported, because a job that enters and leaves within
  // one batch is not reported.
  const { id } = await enqueueIdle({ labels: [label] });
  const changes = [];
  const until = async (isEnough) => {
    while (!changes.some(isEnough)) changes.push(...(await following.next()).value.data.jobsChanged.changes);
  };
  await until(({ isInFilter }) => isInFilter);
  await cancel(id);
  await until(({ isInFilter }) => !isInFilter);
  assertOrdered(changes);
  const last = changes.pop();
  assert.deepEqual([last.id, last.state], [id, 'CANCELLED']);
  assert.ok(changes.every(({ state, isInFilter }) => isInFilter && state === 'SCHEDULED'), JSON.stringify(changes));
  await following.return();
});

test('changes over sockets that are torn down after every message', limit, async () => {
  const filter = { labels: [randomUUID()] };
  const { results: [first] } = await read(CHANGES, { filter }, () => true);
  assert.equal(first.isReset, true);
  const ids = [];
  const changes = [];
  let { cursor } = first;
  const isDone = () => ids.length === 5 && ids.every((id) => changes.some((change) => change.id === id && isTerminal(change)));
  while (!isDone()) {
    // Enqueued while no socket is open.
    if (ids.length < 5) ids.push((await enqueueDemo(filter)).id);
    const { results: [message] } = await read(CHANGES, { filter, after: cursor }, () => true);
    assert.equal(message.isReset, false);
    changes.push(...message.changes);
    ({ cursor } = message);
  }
  assertOrdered(changes);
  assert.deepEqual([...new Set(changes.map(({ id }) => id))].sort(), [...ids].sort());
});
