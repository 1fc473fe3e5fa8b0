import assert from 'node:assert/strict';
import { test } from 'node:test';
import { buildSchema } from 'graphql';
import { documentsIn, mistakes } from './schema.mjs';

const schema = buildSchema('type Query { job(id: ID!): Job } type Job { id: ID! state: String! }');
const check = (...sources) => mistakes(schema, sources.flatMap((source, i) => documentsIn(`${i}.ts`, source)));

test('a right document has no mistakes, also with a fragment of another file', () => {
  assert.deepEqual(check('const q = graphql(`query { job(id: "1") { ...Row } }`, [Row]);', 'graphql(`fragment Row on Job { id state }`)'), []);
});

test('a wrong field is told with its file and line', () => {
  assert.deepEqual(check('//\n\ngraphql(`\n  query {\n    job(id: "1") { nothing }\n  }\n`)'), [
    '0.ts:5: Cannot query field "nothing" on type "Job".',
  ]);
});

test('a mistake in a fragment is told once, where the fragment stands', () => {
  const found = check('graphql(`query { job(id: "1") { ...Row } }`, [Row])', '\ngraphql(`fragment Row on Job { wrong }`)');
  assert.deepEqual(found, ['1.ts:2: Cannot query field "wrong" on type "Job".']);
});

test('a document that cannot be read, and an unknown fragment, are mistakes', () => {
  assert.equal(check('graphql(`query {`)').length, 1);
  assert.match(check('graphql(`query { job(id: "1") { ...None } }`)')[0], /^0\.ts:1: Unknown fragment "None"/);
});
