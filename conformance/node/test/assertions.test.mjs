// What the other programs assert about a stream. Each of these faults must fail the assertion.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { assertWholeStream } from '../callboard.mjs';

const kinds = { ENQUEUED: 'QUEUED', STARTED: 'RUNNING', PROGRESSED: 'RUNNING', SUCCEEDED: 'SUCCEEDED' };
const events = Object.entries(kinds).map(([kind, state], index) => ({ kind, state, version: index + 1 }));
const snapshot = { kind: 'SNAPSHOT', state: 'RUNNING', version: 2 };

test('a whole stream passes, wherever its snapshot was taken', () => {
  assertWholeStream([snapshot, ...events]);
  assertWholeStream([{ ...snapshot, state: 'SUCCEEDED', version: 4 }, ...events]);
});

const [one, two, three, four] = events;
for (const [fault, stream] of Object.entries({
  'no snapshot': events,
  'two snapshots': [snapshot, snapshot, ...events],
  'a reset': [snapshot, one, { ...snapshot, kind: 'RESET' }, two, three, four],
  'the first event lost': [snapshot, two, three, four],
  'an event lost in the middle': [snapshot, one, two, four],
  'the last event lost': [snapshot, one, two, three],
  "the snapshot's events lost": [snapshot, three, four],
  'one event twice': [snapshot, one, two, two, three, four],
  'all events twice': [snapshot, ...events, ...events],
  'two events in the wrong order': [snapshot, one, three, two, four],
  'an event after the end': [snapshot, one, two, { ...three, state: 'SUCCEEDED' }, four],
  'a snapshot of a version that never was': [{ ...snapshot, version: 5 }, ...events],
  'no events': [],
})) {
  test(`refused: ${fault}`, () => assert.throws(() => assertWholeStream(stream), assert.AssertionError));
}
