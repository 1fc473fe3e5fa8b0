import { expect, test } from 'vitest';
import { ABSENT, draftOf, entry, fits, initialOf, item, itemOf, valueOf, type Draft } from './draft';
import { maskedOf } from './mask';
import { describe, hasSecret, type Json, type Schema } from './schema';

const kind = (schema: Schema, root: Schema = schema) => describe(schema, root).kind;
const first = (schema: Schema) => valueOf(initialOf(schema, schema, true));
const text = (value: string, isSecret = false): Draft => ({ kind: 'text', text: value, isSecret });
const number = (value: string, isInteger = false): Draft => ({ kind: 'number', text: value, isInteger, isSecret: false });
const json = (value: string, isObject = false, isSecret = false): Draft => ({ kind: 'json', text: value, isObject, isSecret });
const object = (fields: Record<string, Draft>, rest: Draft = ABSENT): Draft => ({ kind: 'object', fields, rest });

test.each<[string, Schema, string]>([
  ['text', { type: 'string' }, 'text'],
  ['text without a type', { minLength: 2 }, 'text'],
  ['number', { type: 'number' }, 'number'],
  ['whole number', { type: 'integer' }, 'number'],
  ['number or integer', { type: ['integer', 'number'] }, 'number'],
  ['boolean', { type: 'boolean' }, 'pick'],
  ['enum', { enum: ['a', 1, false] }, 'pick'],
  ['const', { const: { a: 1 } }, 'pick'],
  ['only null', { type: 'null' }, 'pick'],
  ['constants as oneOf', { oneOf: [{ const: 'a', title: 'First' }, { const: 'b' }] }, 'pick'],
  ['object', { properties: { a: true } }, 'object'],
  ['object with required only', { type: 'object', required: ['a'] }, 'object'],
  ['closed empty object', { type: 'object', additionalProperties: false }, 'object'],
  ['any object', { type: 'object' }, 'json'],
  ['map', { type: 'object', additionalProperties: { type: 'string' } }, 'map'],
  ['patterns', { type: 'object', patternProperties: { '^x': { type: 'string' } } }, 'json'],
  ['list', { type: 'array', items: { type: 'string' } }, 'list'],
  ['any list', { type: 'array' }, 'json'],
  ['tuple', { type: 'array', prefixItems: [{ type: 'string' }] }, 'json'],
  ['older tuple', { type: 'array', items: [{ type: 'string' }] }, 'json'],
  ['anything', {}, 'json'],
  ['true', true, 'json'],
  ['two types', { type: ['string', 'number'] }, 'choice'],
  ['oneOf', { oneOf: [{ type: 'string' }, { type: 'object', properties: { a: true } }] }, 'choice'],
  ['oneOf beside anyOf', { oneOf: [{ type: 'string' }], anyOf: [{ type: 'string' }] }, 'json'],
  ['a reference', { $defs: { name: { type: 'string' } }, $ref: '#/$defs/name' }, 'text'],
  ['an older reference', { definitions: { 'a/b': { type: 'integer' } }, $ref: '#/definitions/a~1b' }, 'number'],
  ['an anchor', { $defs: { name: { $anchor: 'n', type: 'string' } }, $ref: '#n' }, 'text'],
  ['a reference to nothing', { $ref: '#/$defs/none' }, 'json'],
  ['a reference elsewhere', { $ref: 'https://example.com/schema' }, 'json'],
  ['a reference to itself', { $ref: '#' }, 'json'],
  ['allOf', { allOf: [{ type: 'object', properties: { a: { type: 'string' } } }, { properties: { b: { type: 'string' } } }] }, 'object'],
  ['allOf of different types', { allOf: [{ type: 'string' }, { type: 'number' }] }, 'json'],
  ['a dynamic reference', { $dynamicRef: '#x' }, 'json'],
])('the field for %s', (_name, schema, wanted) => expect(kind(schema)).toBe(wanted));

test('null beside something else makes it nullable', () => {
  for (const schema of [{ type: ['string', 'null'] }, { anyOf: [{ type: 'string' }, { type: 'null' }] }, { enum: ['a', null] }, { oneOf: [{ const: 'a' }, { const: null }] }] as Schema[]) {
    expect(describe(schema, schema).isNullable).toBe(true);
    expect(draftOf(schema, schema, null)).toEqual({ kind: 'null' });
  }
  expect(describe({ type: 'string' }, true).isNullable).toBe(false);
  expect(draftOf({ type: 'string' }, true, null)).toEqual(ABSENT);
});

test('texts beside a reference win, and its rules stay', () => {
  const schema: Schema = { $defs: { key: { type: 'string', title: 'Key', writeOnly: true } }, $ref: '#/$defs/key', title: 'The key' };
  expect(describe(schema, schema)).toMatchObject({ kind: 'text', title: 'The key', isSecret: true });
});

test('secrets stay secret below what is marked', () => {
  const schema: Schema = { writeOnly: true, properties: { user: { type: 'string' }, codes: { type: 'array', items: { type: 'integer' } } } };
  const field = describe(schema, schema);
  if (field.kind !== 'object') throw new Error(field.kind);
  for (const one of field.properties) expect(describe(one.schema, schema).isSecret).toBe(true);
  const list = describe(field.properties[1]!.schema, schema);
  expect(list.kind === 'list' && describe(list.items, schema).isSecret).toBe(true);
});

test('JSON that may hold a secret is secret', () => {
  const schema: Schema = { $defs: { s: { writeOnly: true } }, type: 'object', patternProperties: { '^x': { $ref: '#/$defs/s' } } };
  expect(describe(schema, schema)).toMatchObject({ kind: 'json', isSecret: true });
  expect(hasSecret({ $ref: '#' }, { properties: { a: { $ref: '#' } } })).toBe(false);
});

test('what is required is there from the start, and the rest is left out', () => {
  const schema: Schema = {
    type: 'object',
    required: ['kind', 'name', 'tags', 'address', 'on'],
    properties: {
      kind: { const: 'order' },
      name: { type: 'string' },
      note: { type: 'string' },
      tags: { type: 'array', items: { type: 'string' } },
      more: { type: 'array', items: { type: 'string' } },
      on: { type: 'boolean' },
      address: { type: 'object', required: ['land'], properties: { land: { default: 'de', type: 'string' }, street: { type: 'string' } } },
      other: { type: 'object', properties: { a: { default: 1, type: 'integer' } } },
    },
  };
  expect(first(schema)).toEqual({ value: { kind: 'order', tags: [], address: { land: 'de' } }, mistakes: [] });
});

test('defaults are filled in, also false, null, zero and empty ones', () => {
  const schema: Schema = {
    type: 'object',
    properties: {
      a: { type: 'boolean', default: false },
      b: { type: ['string', 'null'], default: null },
      c: { type: 'integer', default: 0 },
      d: { type: 'string', default: '' },
      e: { type: 'array', items: { type: 'string' }, default: [] },
      f: { type: 'string', default: 7 },
      g: { type: 'object', default: { x: 1 } },
    },
  };
  expect(first(schema).value).toEqual({ a: false, b: null, c: 0, d: '', e: [], g: { x: 1 } });
});

test('absent, null and empty are three things', () => {
  expect(valueOf(object({ a: ABSENT, b: { kind: 'null' }, c: text(''), d: { kind: 'list', items: [] }, e: object({}), f: { kind: 'map', entries: [] } })).value).toEqual({
    b: null,
    c: '',
    d: [],
    e: {},
    f: {},
  });
});

test.each<[string, boolean, Json | undefined]>([
  ['1.50', false, 1.5], ['-0.5e2', false, -50], ['7', true, 7], ['7.0', true, 7], [' 8 ', true, 8], ['', true, undefined],
])('the number %j', (given, isInteger, wanted) => expect(valueOf(number(given, isInteger))).toEqual({ value: wanted, mistakes: [] }));

test.each([['1,5', false], ['0x10', false], ['1e999', false], ['1.5', true], ['12345678901234567890', true], ['NaN', false]])('%j is no number', (given, isInteger) => {
  expect(valueOf(number(given, isInteger), ['n'])).toMatchObject({ value: undefined, mistakes: [{ path: ['n'] }] });
});

test('JSON that is wrong is told at its place, and a secret is not quoted', () => {
  expect(valueOf(json('[1, 2]', true), ['a'])).toMatchObject({ mistakes: [{ path: ['a'] }] });
  const { mistakes } = valueOf(json('{"token": hunter2}', true, true), ['a']);
  expect(mistakes).toHaveLength(1);
  expect(mistakes[0]!.message).not.toContain('hunter2');
  expect(valueOf(json('  ')).value).toBeUndefined();
  expect(valueOf(json('null')).value).toBeNull();
});

test('an item of a list cannot be left out', () => {
  const list: Draft = { kind: 'list', items: [item(text('a')), item(number('')), item(text(''))] };
  expect(valueOf(list, ['l'])).toMatchObject({ value: ['a', ''], mistakes: [{ path: ['l', '1'] }] });
  expect(valueOf(itemOf({ type: 'string' }, true)).value).toBe('');
  expect(first({ type: 'array', minItems: 2, items: { type: 'string' } }).value).toEqual(['', '']);
});

test('a map keeps its names, and says when one stands twice', () => {
  const entries = [entry('__proto__', text('x')), entry('', text('y'))];
  expect(JSON.stringify(valueOf({ kind: 'map', entries }).value)).toBe('{"__proto__":"x","":"y"}');
  expect(valueOf({ kind: 'map', entries: [...entries, entry('', text('z'))] }, ['m']).mistakes).toMatchObject([{ path: ['m', ''] }]);
});

const SHAPES: Schema = {
  type: 'object',
  required: ['id'],
  properties: { id: { type: 'string' } },
  oneOf: [
    { properties: { kind: { const: 'circle' }, radius: { type: 'number' } }, required: ['kind', 'radius'] },
    { properties: { kind: { const: 'square' }, side: { type: 'number' } }, required: ['kind', 'side'] },
  ],
};

test('alternatives have the names that tell them apart, and what stands beside them', () => {
  const field = describe(SHAPES, SHAPES);
  if (field.kind !== 'choice') throw new Error(field.kind);
  expect(field.options.map(({ label }) => label)).toEqual(['circle', 'square']);
  expect(first(SHAPES).value).toEqual({ kind: 'circle' });
  expect(fits(field.options[1]!.schema, SHAPES, { id: 'a', kind: 'square', side: 2 })).toBe(true);
  expect(fits(field.options[0]!.schema, SHAPES, { id: 'a', kind: 'square', side: 2 })).toBe(false);
});

test('a tree that refers to itself ends where nothing is required', () => {
  const tree: Schema = { $defs: { node: { type: 'object', required: ['name'], properties: { name: { type: 'string' }, next: { $ref: '#/$defs/node' }, children: { type: 'array', items: { $ref: '#/$defs/node' } } } } }, $ref: '#/$defs/node' };
  expect(first(tree).value).toEqual({});
  const value = { name: 'a', next: { name: 'b' }, children: [{ name: 'c', children: [] }] };
  expect(valueOf(draftOf(tree, tree, value)).value).toEqual(value);
  const endless: Schema = { type: 'object', required: ['next'], properties: { next: { $ref: '#' } } };
  expect(first(endless).mistakes).toEqual([]);
});

test.each<[string, Schema, Json]>([
  ['shapes', SHAPES, { id: 'x', kind: 'square', side: 2 }],
  ['nothing optional', { type: 'object', properties: { a: { type: 'string' } } }, {}],
  ['null, empty and false', { properties: { a: { type: ['string', 'null'] }, b: { type: 'string' }, c: { type: 'boolean' } } }, { a: null, b: '', c: false }],
  ['other properties', { properties: { a: { type: 'string' } }, additionalProperties: true }, { a: 'x', z: [1, { y: null }] }],
  ['patterns beside properties', { properties: { a: { type: 'string' } }, patternProperties: { '^x': {} } }, { a: 'x', x1: 1 }],
  ['a map of lists', { additionalProperties: { type: 'array', items: { type: 'integer' } } }, { a: [1, 2], b: [] }],
  ['several types', { properties: { a: { type: ['string', 'integer', 'null'] }, b: { type: ['string', 'integer'] } } }, { a: 7, b: '7' }],
  ['enum of all kinds', { properties: { a: { enum: [1, '1', [1], null] } } }, { a: [1] }],
  ['a tuple', { properties: { a: { type: 'array', prefixItems: [{ type: 'string' }, { type: 'number' }] } } }, { a: ['x', 1] }],
  ['anything', {}, { deep: [{ a: [null] }] }],
  ['allOf', { allOf: [{ properties: { a: { type: 'string' } } }, { properties: { b: { type: 'number' } } }] }, { a: 'x', b: 0.5 }],
])('a value goes through the form unchanged: %s', (_name, schema, value) => {
  expect(valueOf(draftOf(schema, schema, value))).toEqual({ value, mistakes: [] });
});

test('what is shown in a link has no secret', () => {
  const secret = { type: 'string', writeOnly: true };
  const schema: Schema = {
    properties: {
      key: secret,
      pin: { type: 'integer', writeOnly: true },
      any: { writeOnly: true },
      level: { enum: ['high', 'low'], writeOnly: true },
      codes: { type: 'array', items: secret },
      users: { type: 'object', writeOnly: true, additionalProperties: { type: 'string' } },
      tokens: { type: 'object', additionalProperties: secret },
      pay: { oneOf: [{ type: 'object', required: ['card'], properties: { card: secret } }, { type: 'string' }] },
      name: { type: 'string' },
      none: secret,
    },
    patternProperties: { '^x': secret },
  };
  const given = { key: 'hunter2', pin: 1234, any: { a: 'hunter2' }, level: 'high', codes: ['hunter2'], users: { hunter2: 'x' }, tokens: { a: 'hunter2' }, pay: { card: 'hunter2' }, name: 'n', x1: 'hunter2' };
  expect(maskedOf(schema, schema, draftOf(schema, schema, given))).toEqual({
    key: '***', pin: '***', any: '***', level: '***', codes: ['***'], users: '***', tokens: { a: '***' }, pay: { card: '***' }, name: 'n', '***': '***',
  });
  const map: Schema = { type: 'object', additionalProperties: { type: ['string', 'null'] } };
  expect(maskedOf(map, map, draftOf(map, map, { a: null, b: '' }))).toEqual({ a: null, b: '' });
});
