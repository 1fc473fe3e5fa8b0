import { expect, test } from 'vitest';
import { draftOf, initialOf, type Draft } from '../form/draft';
import type { Schema } from '../form/schema';
import { createOf, EMPTY_PLAN, inputSchemaOf, jobOf, labelsOf, parsedSchema, previewOf, refit, type Form } from './request';
import { SPECS } from './specs';

const nothing: Draft = { kind: 'absent' };
const form = (rest: Partial<Form> = {}): Form => ({
  name: 'n', description: '', spec: initialOf(SPECS.program, SPECS.program, true), schemaText: '', input: nothing,
  chosen: { profileId: undefined, proxyId: undefined, serviceIds: undefined }, plan: EMPTY_PLAN, ...rest,
});

test('a form that was left as it is sends only what a job needs', () => {
  expect(jobOf(form(), 'command_1', 'k', 'UTC')).toEqual({ mistakes: [], input: { commandId: 'command_1', idempotencyKey: 'k' } });
});

test('what was chosen is sent, and no services is not the same as unchosen ones', () => {
  const plan = { ...EMPTY_PLAN, queue: ' slow ', priority: '0', labels: 'a, ,b', isLater: true, at: '2026-11-22T10:00' };
  const { input } = jobOf(form({ plan, chosen: { profileId: 'p', proxyId: 'x', serviceIds: [] } }), 'c', 'k', 'Europe/Berlin');
  expect(input).toEqual({ commandId: 'c', idempotencyKey: 'k', profileId: 'p', proxyId: 'x', serviceIds: [], queue: 'slow', priority: 0, labels: ['a', 'b'], runAt: '2026-11-22T09:00:00.000Z' });
});

test('a time that is not chosen is told at its field', () => {
  expect(jobOf(form({ plan: { ...EMPTY_PLAN, isLater: true } }), 'c', 'k', 'UTC').mistakes).toMatchObject([{ path: ['runAt'] }]);
});

test('a draft sends an empty text for what its spec must have, so that the server says what is wrong', () => {
  expect(previewOf(form(), { kind: 'program' })).toEqual({ spec: { program: { program: '' } }, inputSchema: {} });
  expect(previewOf(form({ spec: initialOf(SPECS.http, SPECS.http, true) }), { kind: 'http' })).toEqual({ spec: { http: { url: '', method: 'GET', redirects: 'FOLLOW' } }, inputSchema: {} });
  expect(createOf(form({ description: ' d ' }), 'program')).toEqual({ name: 'n', description: 'd', spec: { program: { program: '' } }, inputSchema: {} });
});

test('a preview for a link has no secret', () => {
  const schema: Schema = { type: 'object', properties: { key: { type: 'string', writeOnly: true } } };
  const input = draftOf(schema, schema, { key: 'hunter2' });
  expect(JSON.stringify(previewOf(form({ input }), { commandId: 'c' }))).toContain('hunter2');
  expect(previewOf(form({ input }), { commandId: 'c' }, schema)).toEqual({ commandId: 'c', input: { key: '***' } });
});

test('an input keeps what fits when its schema is changed', () => {
  const before: Schema = { type: 'object', properties: { a: { type: 'string' }, b: { type: 'string' } } };
  const after: Schema = { type: 'object', required: ['c'], properties: { a: { type: 'string' }, c: { const: 1 }, d: { default: 2, type: 'integer' } } };
  const kept = refit(draftOf(before, before, { a: 'x', b: 'y' }), after);
  expect(kept).toMatchObject({ fields: { a: { text: 'x' }, c: { value: 1 }, d: { text: '2' } } });
});

test('a schema that is no object is told', () => {
  expect(parsedSchema(' ')).toEqual({ schema: {}, mistakes: [] });
  for (const text of ['[]', '{', 'true']) expect(parsedSchema(text).mistakes).toMatchObject([{ path: ['inputSchema'] }]);
  expect(inputSchemaOf({ properties: {} })).toEqual({ type: 'object', properties: {} });
  expect(labelsOf(' , ')).toEqual([]);
});
