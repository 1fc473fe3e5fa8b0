// graphql-transport-ws on a bare socket: the codes with which a server must close.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { authorization, enqueueDemo, EVENTS, limit } from '../callboard.mjs';
import { Bare } from '../sockets.mjs';

/** Stays open until the client or the server ends it. */
const ENDLESS = 'subscription { jobsChanged { cursor isReset } }';

/** Opens a socket, lets `act` misbehave, and returns the server's close code. */
async function closedAfter(bare, act) {
  try {
    await bare.opened;
    await act(bare);
    return (await bare.closed).code;
  } finally {
    bare.close();
  }
}

test('the server speaks graphql-transport-ws', limit, async () => {
  const bare = await Bare.ready();
  assert.equal(bare.socket.protocol, 'graphql-transport-ws');
  bare.close();
});

test('a wrong key: 4401', limit, async () => {
  const init = { type: 'connection_init', payload: { authorization: 'Bearer cb_wrong_key_of_nobody' } };
  assert.equal(await closedAfter(new Bare(), (bare) => bare.send(init)), 4401);
});

test('no connection_init: 4408', limit, async () => {
  assert.equal(await closedAfter(new Bare(), () => {}), 4408);
});

test('subscribe before connection_init: 4401', limit, async () => {
  assert.equal(await closedAfter(new Bare(), (bare) => bare.subscribe('1', ENDLESS)), 4401);
});

test('a second connection_init: 4429', limit, async () => {
  const init = { type: 'connection_init', payload: { authorization } };
  assert.equal(await closedAfter(await Bare.ready(), (bare) => bare.send(init)), 4429);
});

test('an id that is in use: 4409', limit, async () => {
  const act = async (bare) => {
    bare.subscribe('same', ENDLESS);
    await bare.next('next', 'same');
    bare.subscribe('same', ENDLESS);
  };
  assert.equal(await closedAfter(await Bare.ready(), act), 4409);
});

for (const [name, garbage] of Object.entries({
  'invalid JSON': '{"type":',
  'an unknown type': { type: 'nonsense' },
  'no type': { id: '1' },
  'an array': '[]',
  'a subscribe without an id': { type: 'subscribe', payload: { query: '{ __typename }' } },
  'a subscribe without a payload': { id: '1', type: 'subscribe' },
})) {
  test(`${name}: 4400`, limit, async () => {
    assert.equal(await closedAfter(await Bare.ready(), (bare) => bare.send(garbage)), 4400);
  });
}

test('a ping gets a pong', limit, async () => {
  const bare = await Bare.ready();
  bare.send({ type: 'ping' });
  await bare.next('pong');
  bare.close();
});

test('complete ends the stream and frees its id', limit, async () => {
  const bare = await Bare.ready();
  bare.subscribe('a', ENDLESS);
  await bare.next('next', 'a');
  bare.send({ id: 'a', type: 'complete' });
  bare.subscribe('a', ENDLESS);
  const { payload } = await bare.next('next', 'a');
  assert.equal(payload.data.jobsChanged.isReset, true, 'a new stream, not the rest of the old one');
  bare.close();
});

test('the server completes a stream with exactly one complete, and its id is free', limit, async () => {
  const { id } = await enqueueDemo();
  const bare = await Bare.ready();
  bare.subscribe('a', EVENTS, { jobId: id });
  await bare.next('complete', 'a');
  bare.subscribe('a', '{ __typename }');
  await bare.next('complete', 'a');
  assert.ok(!bare.messages.some(({ type }) => type === 'error' || type === 'complete'), JSON.stringify(bare.messages));
  bare.close();
});

test('a close by the client is echoed with the same code', limit, async () => {
  const bare = await Bare.ready();
  bare.socket.close(1000, 'done');
  assert.equal((await bare.closed).code, 1000);
});
