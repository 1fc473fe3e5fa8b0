// urql, with its document cache and its subscriptions over graphql-ws.
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { cacheExchange, Client, fetchExchange, subscriptionExchange } from '@urql/core';
import { assertWholeStream, authorization, COMMAND, endpoint, ENQUEUE, EVENTS, jobOf, limit } from '../callboard.mjs';
import { connect } from '../sockets.mjs';

const sockets = connect();
after(() => sockets.dispose());

const client = new Client({
  url: endpoint,
  preferGetMethod: false,
  fetchOptions: { headers: { authorization } },
  exchanges: [
    cacheExchange,
    fetchExchange,
    subscriptionExchange({
      forwardSubscription: (operation) => ({
        subscribe: (sink) => ({ unsubscribe: sockets.subscribe({ ...operation, query: operation.query ?? '' }, sink) }),
      }),
    }),
  ],
});

function succeeded({ data, error }) {
  assert.equal(error, undefined, String(error));
  return data;
}

test('query, cache, mutation, subscription', limit, async () => {
  const { command } = succeeded(await client.query(COMMAND, { name: 'demo-program' }).toPromise());
  const again = await client.query(COMMAND, { name: 'demo-program' }).toPromise();
  assert.equal(again.operation.context.meta.cacheOutcome, 'hit');
  const { jobEnqueue } = succeeded(await client.mutation(ENQUEUE, { input: { commandId: command.id } }).toPromise());
  const jobId = jobOf(jobEnqueue).id;

  const events = [];
  await new Promise((resolve, reject) => {
    client.subscription(EVENTS, { jobId }).subscribe(({ data, error, hasNext }) => {
      if (error) reject(error);
      // The server has completed it: the last result once more, marked as such.
      else if (!hasNext) resolve();
      else events.push(data.jobEvents);
    });
  });
  assertWholeStream(events);
});

test('errors arrive with their codes', limit, async () => {
  const { error } = await client.query('{ nothingOfThisName }', {}).toPromise();
  assert.equal(error.graphQLErrors[0].extensions.code, 'VALIDATION_FAILED');
});
