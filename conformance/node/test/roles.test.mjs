// Keys of each role, and sessions that were opened with them, in clients over HTTP, WebSocket and
// server-sent events.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, test } from 'node:test';
import { ApolloClient, gql, HttpLink, InMemoryCache } from '@apollo/client';
import { Client, fetchExchange } from '@urql/core';
import { createClient as createSse } from 'graphql-sse';
import WebSocket from 'ws';
import { ask, endpoint, ENQUEUE, limit, post } from '../callboard.mjs';
import { connect } from '../sockets.mjs';

const ROLES = ['VIEWER', 'OPERATOR', 'ADMIN'];
const WHO = 'query Who { viewer { name role isSession can } }';
const ENDLESS = 'subscription Changes { jobsChanged { cursor isReset } }';
const CREATE = `mutation Create($input: ApiKeyCreateInput!) {
  apiKeyCreate(input: $input) { key apiKey { id name role } userErrors { code message path } }
}`;
const REVOKE = 'mutation Revoke($input: ApiKeyRevokeInput!) { apiKeyRevoke(input: $input) { apiKey { revokedAt } userErrors { code } } }';
const SIGN_IN = `mutation SignIn($input: SessionCreateInput!) {
  sessionCreate(input: $input) { viewer { role isSession } userErrors { message } }
}`;

/** Each key: its id and what its caller sends with HTTP. */
const keys = new Map();
const created = [];

async function createKey(role) {
  const { apiKeyCreate } = await ask(CREATE, { input: { name: `clients ${role} ${randomUUID()}`, role } });
  assert.deepEqual(apiKeyCreate.userErrors, []);
  assert.match(apiKeyCreate.key, /^cb_[0-9A-Za-z]{49}$/);
  created.push(apiKeyCreate.apiKey.id);
  return { key: apiKeyCreate.key, id: apiKeyCreate.apiKey.id };
}

const revoke = (id) => ask(REVOKE, { input: { id } });

/** Trades a key for a session, as a browser does, and returns its cookie. */
async function signIn(key) {
  const response = await fetch(endpoint, {
    method: 'POST',
    headers: { 'content-type': 'application/json', accept: 'application/json', origin: new URL(endpoint).origin },
    body: JSON.stringify({ query: SIGN_IN, variables: { input: { key } } }),
  });
  const { data } = await response.json();
  assert.deepEqual(data.sessionCreate.userErrors, []);
  const [set] = response.headers.getSetCookie();
  assert.match(set, /; HttpOnly; SameSite=Strict/);
  return set.split(';')[0];
}

before(async () => {
  for (const role of ROLES) keys.set(role, await createKey(role));
});

after(async () => {
  for (const id of created) await revoke(id);
});

/** A graphql-ws client that is signed in by a key, or by the cookie of a page of this address. */
function socketOf({ key, cookie }) {
  const headers = cookie ? { cookie, origin: new URL(endpoint).origin } : {};
  class SignedIn extends WebSocket {
    constructor(url, protocol) {
      super(url, protocol, { headers });
    }
  }
  return connect({ webSocketImpl: SignedIn, connectionParams: key ? { authorization: `Bearer ${key}` } : {}, retryAttempts: 0 });
}

const headersOf = ({ key, cookie }) => (key ? { authorization: `Bearer ${key}` } : { cookie, origin: new URL(endpoint).origin });

async function first(iterable) {
  for await (const result of iterable) return result;
  throw new Error('the stream ended without a result');
}

/** The code of an operation's first error, or null. */
const codeOf = ({ errors }) => errors?.[0]?.extensions?.code ?? null;

for (const role of ROLES) {
  for (const way of ['key', 'session']) {
    test(`${role} by ${way}: HTTP, WebSocket and server-sent events`, limit, async () => {
      const { key } = keys.get(role);
      const shown = way === 'key' ? { key } : { cookie: await signIn(key) };
      const headers = headersOf(shown);

      const apollo = new ApolloClient({ cache: new InMemoryCache(), link: new HttpLink({ uri: endpoint, headers }) });
      const { viewer } = (await apollo.query({ query: gql(WHO) })).data;
      assert.deepEqual([viewer.role, viewer.isSession], [role, way === 'session']);
      assert.equal(viewer.can.includes('jobCancel'), role !== 'VIEWER');
      assert.equal(viewer.can.includes('apiKeys'), role === 'ADMIN');
      apollo.stop();

      const urql = new Client({ url: endpoint, preferGetMethod: false, fetchOptions: { headers }, exchanges: [fetchExchange] });
      const listed = await urql.query('{ apiKeys(first: 1) { nodes { id } } }', {}).toPromise();
      assert.equal(listed.error?.graphQLErrors[0].extensions.code ?? null, role === 'ADMIN' ? null : 'FORBIDDEN');
      const enqueued = await post(ENQUEUE, { input: { commandId: 'none' } }, headers);
      assert.equal(codeOf(enqueued), role === 'VIEWER' ? 'FORBIDDEN' : null);

      const socket = socketOf(shown);
      const sse = createSse({ url: endpoint, headers, retryAttempts: 0 });
      for (const client of [socket, sse]) {
        const who = await first(client.iterate({ query: WHO }));
        assert.equal(who.data.viewer.role, role);
        const change = await first(client.iterate({ query: ENDLESS }));
        assert.equal(change.data.jobsChanged.isReset, true);
      }
      await socket.dispose();
      sse.dispose();
    });
  }
}

test('a revoked key and its sessions end on open sockets and streams within a second', limit, async () => {
  const { key, id } = await createKey('VIEWER');
  const cookie = await signIn(key);
  const ends = [];
  for (const shown of [{ key }, { cookie }]) {
    const socket = socketOf(shown);
    const sse = createSse({ url: endpoint, headers: headersOf(shown), retryAttempts: 0 });
    const closed = new Promise((resolve) => socket.on('closed', resolve));
    const changes = socket.iterate({ query: ENDLESS });
    await changes.next();
    changes.next().catch(() => undefined);
    const events = sse.iterate({ query: ENDLESS });
    await events.next();
    ends.push(closed.then(({ code }) => assert.equal(code, 4401)));
    ends.push(events.next().then(({ value }) => assert.equal(codeOf(value), 'UNAUTHENTICATED')));
  }
  const began = Date.now();
  await revoke(id);
  await Promise.all(ends);
  assert.ok(Date.now() - began < 2000, `${Date.now() - began} ms`);
  for (const shown of [{ key }, { cookie }]) {
    assert.equal(codeOf(await post('{ queues { name } }', {}, headersOf(shown))), 'UNAUTHENTICATED');
  }
});

test('a page of another site cannot use the cookie', limit, async () => {
  const cookie = await signIn(keys.get('VIEWER').key);
  for (const more of [{ origin: 'https://evil.example' }, { 'sec-fetch-site': 'cross-site' }]) {
    assert.equal(codeOf(await post('{ queues { name } }', {}, { cookie, ...more })), 'UNAUTHENTICATED');
  }
});
