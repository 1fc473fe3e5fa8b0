// What the other programs assert of a stream: each of these faults must fail them.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { assertWholeStream } from '../callboard.mjs';

const kinds = { ENQUEUED: 'QUEUED', STARTED: 'RUNNING', PROGRESSED: 'RUNNING', SUCCEEDED: 'SUCCEEDED' };
const events = Object.entries(kinds).map(([kind, state], index) => ({ kind, state, version: index + 1 }));
const snapshot = { kind: 'SNAPSHOT', state: 'RUNNING', version: 2 };

test('a whole stream is one, wherever its snapshot was taken', () => {
  assertWholeStream([snapshot, ...events]);
  assertWholeStream([{ ...snapshot, state: 'SUCCEEDED', version: 4 }, ...events]);
});

const [one, two, three, four] = events;
for (const [fault, stream] of Object.entries({
  'no snapshot': events,
  'two snapshots': [snapshot, snapshot, ...events],
  'a reset': [snapshot, one, { ...snapshot, kind: 'RESET' }, two, three, four],
  'the first lost': [snapshot, two, three, four],
  'one lost in the middle': [snapshot, one, two, four],
  'the last lost': [snapshot, one, two, three],
  'what the snapshot stands for lost': [snapshot, three, four],
  'one twice': [snapshot, one, two, two, three, four],
  'all twice': [snapshot, ...events, ...events],
  'two in the wrong order': [snapshot, one, three, two, four],
  'one after the end': [snapshot, one, two, { ...three, state: 'SUCCEEDED' }, four],
  'a snapshot of what never was': [{ ...snapshot, version: 5 }, ...events],
  nothing: [],
})) {
  test(`refused: ${fault}`, () => assert.throws(() => assertWholeStream(stream), assert.AssertionError));
}
