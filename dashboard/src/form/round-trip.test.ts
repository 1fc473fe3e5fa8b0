// Values of many schemas go through the form and come back as they were.
import { expect, test } from 'vitest';
import { draftOf, initialOf, valueOf } from './draft';
import type { Json, SchemaObject } from './schema';

interface Made {
  schema: SchemaObject;
  value(): Json;
}

let seed = 7;
function random(most: number): number {
  seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648;
  return Math.floor((seed / 2_147_483_648) * most);
}
const one = <T>(list: readonly T[]): T => list[random(list.length)]!;
const oneOf = (schema: SchemaObject, ...values: Json[]): Made => ({ schema, value: () => one(values) });

const LEAVES: readonly (() => Made)[] = [
  () => oneOf({ type: 'string' }, '', 'a', 'b\nc', '***', '{"a":1}'),
  () => oneOf({ type: 'number' }, 0, -1.5, 1e-7, 1e21, 3),
  () => oneOf({ type: 'integer' }, 0, -1, Number.MAX_SAFE_INTEGER),
  () => oneOf({ type: 'boolean' }, true, false),
  () => oneOf({ enum: [1, '1', null, [1], { a: null }, false] }, 1, '1', null, [1], { a: null }, false),
  () => oneOf({ type: 'null' }, null),
  () => oneOf({ type: ['string', 'null'] }, null, '', 'x'),
  () => oneOf({ type: ['object', 'null'] }, null, {}, { q: 1 }),
  () => oneOf({ type: ['string', 'integer', 'boolean', 'array', 'object', 'null'] }, '1', 1, true, [1], { a: [] }, null),
  () => oneOf({}, 1, 'a', null, { a: [null] }),
  () => oneOf({ type: 'array', prefixItems: [{ type: 'string' }] }, ['a', 1], []),
  () => oneOf({ $ref: '#/$defs/text' }, '', 'ref'),
];

function object(depth: number): Made {
  const parts = ['a', 'b', 'c', '__proto__', 'x y'].slice(0, 1 + random(5)).map((name) => ({ name, made: make(depth + 1), isRequired: random(2) === 0 }));
  const isOpen = random(2) === 0;
  return {
    schema: {
      type: 'object',
      properties: Object.fromEntries(parts.map(({ name, made }) => [name, made.schema])),
      required: parts.filter(({ isRequired }) => isRequired).map(({ name }) => name),
      ...(isOpen ? { additionalProperties: true } : {}),
    },
    value: () =>
      Object.fromEntries([
        ...(isOpen && random(2) ? [['extra', [1]] as const] : []),
        ...parts.filter(({ isRequired }) => isRequired || random(2) === 0).map(({ name, made }) => [name, made.value()] as const),
      ]),
  };
}

function list(depth: number): Made {
  const { schema, value } = make(depth + 1);
  return { schema: { type: 'array', items: schema }, value: () => Array.from({ length: random(4) }, value) };
}

function map(depth: number): Made {
  const { schema, value } = make(depth + 1);
  return { schema: { type: 'object', additionalProperties: schema }, value: () => Object.fromEntries(['k', '', 'z.y'].slice(0, random(4)).map((name) => [name, value()])) };
}

function choice(depth: number): Made {
  const parts = ['p', 'q', 'r'].map((tag) => ({ tag, made: make(depth + 1) }));
  const schemas = parts.map(({ tag, made }) => ({ type: 'object', required: ['tag', 'v'], properties: { tag: { const: tag }, v: made.schema } }));
  return { schema: { oneOf: schemas }, value: () => one(parts.map(({ tag, made }) => ({ tag, v: made.value() }))) };
}

function both(depth: number): Made {
  const [left, right] = [make(depth + 1), make(depth + 1)];
  return {
    schema: { allOf: [{ type: 'object', properties: { l: left.schema }, required: ['l'] }, { properties: { r: right.schema } }] },
    value: () => ({ l: left.value(), r: right.value() }),
  };
}

function nullable(depth: number): Made {
  const { schema, value } = make(depth + 1);
  return { schema: { anyOf: [schema, { type: 'null' }] }, value: () => one([null, value()]) };
}

function make(depth: number): Made {
  return depth > 3 || random(3) === 0 ? one(LEAVES)() : one([object, object, list, map, choice, both, nullable])(depth);
}

test('a value of any schema comes back as it was', () => {
  for (let turn = 0; turn < 3000; turn++) {
    const { schema, value } = make(0);
    const root = { ...schema, $defs: { text: { type: 'string' } } };
    const wanted = value();
    initialOf(root, root, true);
    expect(valueOf(draftOf(root, root, wanted)), JSON.stringify(schema)).toEqual({ value: wanted, mistakes: [] });
  }
});
