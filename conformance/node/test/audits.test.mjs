// GraphQL over HTTP: every audit of the reference suite.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { auditServer } from 'graphql-http';
import { authorization, endpoint, limit } from '../callboard.mjs';

test('all 61 audits pass', limit, async () => {
  const fetchFn = (url, options = {}) => fetch(url, { ...options, headers: { ...options.headers, authorization } });
  const results = await auditServer({ url: endpoint, fetchFn });
  const notOk = results.filter(({ status }) => status !== 'ok').map(({ id, name, status, reason }) => `${id} ${status}: ${name}: ${reason}`);
  assert.deepEqual(notOk, []);
  assert.equal(results.length, 61);
});
