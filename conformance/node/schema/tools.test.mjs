import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { Kind, parse, print } from 'graphql';
import { changes } from './breaking.mjs';
import { compare, judge, readList } from './contract.mjs';
import { lint } from './lint.mjs';

const OLD = 'type Query { job(id: ID!): Job } type Job { id: ID! state: State! } enum State { QUEUED RUNNING } input Filter { ids: [ID!] }';

test('breaking: removing or tightening is breaking', async () => {
  for (const [from, to] of [
    [' state: State!', ''],
    ['state: State!', 'state: State'],
    [' RUNNING', ''],
    ['job(id: ID!)', 'job(id: ID!, queue: String!)'],
    ['ids: [ID!]', 'ids: [ID!] queue: String!'],
  ]) {
    const { breaking } = await changes(OLD, OLD.replace(from, to));
    assert.ok(breaking.length > 0, `${from} -> ${to}`);
  }
});

test('breaking: adding is not breaking', async () => {
  const added = OLD.replace('state: State!', 'state: State! queue: String').replace('RUNNING', 'RUNNING FAILED').replace('id: ID!)', 'id: ID!, deep: Boolean)');
  const { breaking, dangerous } = await changes(OLD, added);
  assert.deepEqual(breaking, []);
  assert.ok(dangerous.some(({ message }) => /FAILED/.test(message)));
  assert.equal((await changes(OLD, OLD)).total, 0);
});

test('breaking: accepted changes pass, and no others', async () => {
  const cut = OLD.replace(' state: State!', '').replace(' RUNNING', '');
  const all = (await changes(OLD, cut)).breaking.map(({ message }) => message);
  assert.ok(all.length > 1, String(all));
  assert.deepEqual((await changes(OLD, cut, all)).breaking, []);
  assert.deepEqual((await changes(OLD, cut, all.slice(1))).breaking.map(({ message }) => message), all.slice(0, 1));
});

const CONTRACT = `
  interface Node { id: ID! }
  type Query { job(id: ID!): Job jobs(first: Int = 25): [Job!]! }
  type Job implements Node { id: ID! state: State! }
  enum State { QUEUED RUNNING }
  union Spec = Job
  input Filter { ids: [ID!] }
  input Choice @oneOf { a: Int b: Int }
`;
const problems = (schema, ...list) => judge(compare(CONTRACT, schema), list).problems;

test('contract: the same schema passes, with or without additions', () => {
  assert.deepEqual(problems(CONTRACT), []);
  const more = CONTRACT.replace('first: Int = 25', 'first: Int = 25, after: String').replace('QUEUED', 'LOST QUEUED').replace('state:', 'queue: String! state:');
  assert.deepEqual(problems(`${more} type Other { id: ID! }`), []);
});

test('contract: every missing or different part is named', () => {
  for (const [from, to, problem] of [
    ['state: State!', 'state: State', 'Job.state  # is State, should be State!'],
    ['state: State!', 'other: State', 'Job.state  # missing'],
    ['(first: Int = 25)', '', 'Query.jobs.first  # missing'],
    ['= 25', '= 20', 'Query.jobs.first  # defaults to 20, should default to 25'],
    ['first: Int = 25', 'first: Int = 25, must: Int!', 'Query.jobs.must  # is required and not in the contract'],
    ['ids: [ID!]', 'ids: [ID!] must: Int!', 'Filter.must  # is required and not in the contract'],
    ['QUEUED RUNNING', 'QUEUED', 'State.RUNNING  # missing'],
    ['implements Node', '', 'Job.implements.Node  # missing'],
    ['union Spec = Job', 'union Spec = Query', 'Spec.Job  # missing'],
    ['@oneOf', '', 'Choice.@oneOf  # missing'],
    ['input Filter { ids: [ID!] }', '', 'Filter  # missing'],
    ['input Filter { ids: [ID!] }', 'type Filter { ids: [ID!] }', 'Filter  # is Object, should be InputObject'],
  ]) {
    assert.deepEqual(problems(CONTRACT.replace(from, to)), [problem], `${from} -> ${to}`);
  }
});

test('contract: the list excuses missing parts, and must shrink', () => {
  const without = CONTRACT.replace('state: State!', '').replace('(first: Int = 25)', '');
  assert.deepEqual(problems(without, 'Job.state', 'Query.jobs.first'), []);
  assert.deepEqual(problems(CONTRACT, 'Job.state').length, 1, 'the schema has the field');
  assert.deepEqual(problems(CONTRACT, 'Job').length, 1, 'the schema has the type');
  assert.deepEqual(problems(CONTRACT, 'Job.nonsense').length, 1, 'the contract has no such field');
  assert.deepEqual(readList('# all\n\nJob.state  # soon\n  Query\n'), ['Job.state', 'Query']);
});

test('contract: every part removed or renamed in the real schema is named', () => {
  const real = (name) => readFileSync(new URL(`../../../${name}`, import.meta.url), 'utf8');
  const contract = real('docs/contract.graphql');
  const schema = real('schema.graphql');
  const list = readList(real('conformance/node/not-yet.txt'));
  const changed = (kind, name, edit) => print({ ...parse(schema), definitions: parse(schema).definitions.map((definition) => {
    return definition.kind === kind && definition.name.value === name ? edit(definition) : definition;
  }) });
  const without = (key, name) => (definition) => ({ ...definition, [key]: definition[key].filter((part) => part.name.value !== name) });
  assert.deepEqual(judge(compare(contract, schema), list).problems, []);
  for (const [path, edited] of [
    ['Job.waiting', changed(Kind.OBJECT_TYPE_DEFINITION, 'Job', without('fields', 'waiting'))],
    ['Subscription.jobEvents', changed(Kind.OBJECT_TYPE_DEFINITION, 'Subscription', without('fields', 'jobEvents'))],
    ['JobEventKind.SNAPSHOT', changed(Kind.ENUM_TYPE_DEFINITION, 'JobEventKind', without('values', 'SNAPSHOT'))],
    ['JobEnqueueInput.idempotencyKey', changed(Kind.INPUT_OBJECT_TYPE_DEFINITION, 'JobEnqueueInput', without('fields', 'idempotencyKey'))],
    ['LogBatch', schema.replace(/\bLogBatch\b/g, 'LogLines')],
  ]) {
    const { problems } = judge(compare(contract, edited), list);
    assert.ok(problems.includes(`${path}  # missing`), `${path}: ${problems}`);
  }
});

/** "§" stands for a description in block style. */
const describe = (text) => text.replaceAll('§', '\n"""\nWhat it is.\n"""\n');
const CLEAN = `
  §type Query { §job(§id: ID!): Job  §jobs(§first: Int, §after: String): JobConnection! }
  §type Job { §id: ID! §title: String }
  §type JobConnection { §edges: [JobEdge!]! §nodes: [Job!]! §pageInfo: PageInfo! }
  §type JobEdge { §cursor: String! §node: Job! }
  §type PageInfo { §hasNextPage: Boolean! §hasPreviousPage: Boolean! §startCursor: String §endCursor: String }
`;

async function lintText(text) {
  const directory = mkdtempSync(join(tmpdir(), 'lint-'));
  try {
    const file = join(directory, 'schema.graphql');
    writeFileSync(file, describe(text));
    return (await lint(file)).errors.map(({ ruleId, message }) => ruleId ?? message);
  } finally {
    rmSync(directory, { recursive: true });
  }
}

test('lint: a clean schema passes in any directory', async () => {
  assert.deepEqual(await lintText(CLEAN), []);
});

test('lint: names, ids and descriptions are checked', async () => {
  for (const [text, rule] of [
    [CLEAN.replace('{ §id: ID! §title', '{ §title'), '@graphql-eslint/strict-id-in-types'],
    [CLEAN.replace('job(', 'getJob('), '@graphql-eslint/naming-convention'],
    [CLEAN.replace('§type Job {', 'type Job {'), '@graphql-eslint/require-description'],
    [CLEAN.replace('§title', 'title'), '@graphql-eslint/require-description'],
    [CLEAN.replace('§first', 'first'), '@graphql-eslint/require-description'],
    [CLEAN.replace('§title', '"inline" title'), '@graphql-eslint/description-style'],
    [CLEAN.replace('§first: Int, §after: String', '§all: Boolean'), '@graphql-eslint/relay-arguments'],
    [CLEAN.replace('§hasNextPage: Boolean!', ''), '@graphql-eslint/relay-page-info'],
    [`${CLEAN} §enum Lonely { §A }`, '@graphql-eslint/no-unreachable-types'],
  ]) {
    assert.deepEqual(await lintText(text), [rule]);
  }
});
