// A stream that is opened before there is a job: jobsChanged with a filter tells the id, jobEvents tells the rest.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { test } from 'node:test';
import { assertWholeStream, cancel, CHANGES, enqueueDemo, enqueueIdle, EVENTS, isTerminal, limit } from '../callboard.mjs';
import { collect, connect, read } from '../sockets.mjs';

/** Each state of each job at most once, in order, however the changes were batched. */
function assertOrdered(changes) {
  const newest = new Map();
  for (const change of changes) {
    const before = newest.get(change.id) ?? 0;
    assert.ok(change.version > before, `version ${change.version} of ${change.id} after ${before}`);
    assert.ok(change.job.version >= change.version, 'the job as it is now is not older than its change');
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

  // Another job is none of the filter's.
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

  // From the very first cursor, when all is over: nothing of it is lost.
  const again = client.iterate({ query: CHANGES, variables: { filter: { labels: [label] }, after: first.cursor } });
  const replayed = [];
  while (!replayed.some(isTerminal)) replayed.push(...(await again.next()).value.data.jobsChanged.changes);
  assertOrdered(replayed);
  assert.deepEqual(replayed.at(-1), changes.at(-1));
  await again.return();
});

test('a job that leaves the filter is told as such', limit, async (context) => {
  const label = randomUUID();
  const client = connect();
  context.after(() => client.dispose());
  const following = client.iterate({ query: CHANGES, variables: { filter: { labels: [label], states: ['SCHEDULED'] } } });
  await following.next();
  // It stays there until it has been told: what enters and leaves within one batch is not.
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
    // While no socket is there.
    if (ids.length < 5) ids.push((await enqueueDemo(filter)).id);
    const { results: [message] } = await read(CHANGES, { filter, after: cursor }, () => true);
    assert.equal(message.isReset, false);
    changes.push(...message.changes);
    ({ cursor } = message);
  }
  assertOrdered(changes);
  assert.deepEqual([...new Set(changes.map(({ id }) => id))].sort(), [...ids].sort());
});
