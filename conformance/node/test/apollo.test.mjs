// Apollo Client, with its normalised cache and GraphQLWsLink.
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { ApolloClient, ApolloLink, gql, HttpLink, InMemoryCache } from '@apollo/client';
import { GraphQLWsLink } from '@apollo/client/link/subscriptions';
import { getMainDefinition } from '@apollo/client/utilities';
import { assertWholeStream, authorization, COMMAND, endpoint, ENQUEUE, EVENTS, jobOf, limit } from '../callboard.mjs';
import { connect } from '../sockets.mjs';

const sockets = connect();
const isSubscription = ({ query }) => getMainDefinition(query).operation === 'subscription';
const client = new ApolloClient({
  cache: new InMemoryCache(),
  link: ApolloLink.split(isSubscription, new GraphQLWsLink(sockets), new HttpLink({ uri: endpoint, headers: { authorization } })),
});
after(async () => {
  client.stop();
  await sockets.dispose();
});

/** Apollo's cache warns here when a response lacks a requested field. */
const complaints = [];
for (const level of ['error', 'warn']) console[level] = (...words) => complaints.push(words.join(' '));

test('query, cache, mutation, subscription', limit, async () => {
  const query = gql(COMMAND);
  const variables = { name: 'demo-program' };
  const { data } = await client.query({ query, variables });
  const cached = client.readQuery({ query, variables });
  assert.deepEqual(cached, data);
  assert.ok(client.cache.extract()[`Command:${data.command.id}`], 'the command is in the cache by its id');

  const enqueued = await client.mutate({ mutation: gql(ENQUEUE), variables: { input: { commandId: data.command.id } } });
  const jobId = jobOf(enqueued.data.jobEnqueue).id;
  const events = [];
  await new Promise((complete, error) => {
    const next = (result) => (result.error ? error(result.error) : events.push(result.data.jobEvents));
    client.subscribe({ query: gql(EVENTS), variables: { jobId } }).subscribe({ next, error, complete });
  });
  assertWholeStream(events);
  assert.deepEqual(complaints, []);
});

test('errors arrive with their codes', limit, async () => {
  const failure = await client.query({ query: gql('{ nothingOfThisName }') }).then(() => null, (thrown) => thrown);
  assert.equal(failure?.errors?.[0].extensions.code, 'VALIDATION_FAILED', String(failure));
});
