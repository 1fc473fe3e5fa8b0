// What was filled in, before it is JSON. A value that is left out, null, and an empty one are three
// different things, and each is sent as it was meant.
import { describe, flatten, hasSecret, isObject, type Field, type Json, type Schema } from './schema';

interface Raw {
  text: string;
  isSecret: boolean;
}

export type Draft =
  | { kind: 'absent' }
  | { kind: 'null' }
  | ({ kind: 'text' } & Raw)
  | ({ kind: 'number'; isInteger: boolean } & Raw)
  | { kind: 'pick'; value: Json }
  | { kind: 'object'; fields: Readonly<Record<string, Draft>>; rest: Draft }
  | { kind: 'list'; items: readonly Item[] }
  | { kind: 'map'; entries: readonly Entry[] }
  | { kind: 'choice'; index: number; draft: Draft }
  | ({ kind: 'json'; isObject: boolean } & Raw);

export interface Item {
  id: number;
  draft: Draft;
}

export interface Entry extends Item {
  name: string;
}

export const ABSENT: Draft = { kind: 'absent' };

let lastId = 0;
export const item = (draft: Draft): Item => ({ id: ++lastId, draft });
export const entry = (name: string, draft: Draft): Entry => ({ id: ++lastId, name, draft });

const same = (left: unknown, right: unknown) => JSON.stringify(left) === JSON.stringify(right);

/** Whether a value may be meant by the schema: enough to tell alternatives apart. */
export function fits(schema: Schema, root: Schema, value: Json, depth = 0): boolean {
  const field = describe(schema, root);
  if (value === null && field.isNullable) return true;
  switch (field.kind) {
    case 'text':
      return typeof value === 'string';
    case 'number':
      return typeof value === 'number' && (!field.isInteger || Number.isInteger(value));
    case 'pick':
      return field.options.some((option) => same(option.value, value));
    case 'list':
      return Array.isArray(value) && value.every((one) => depth > 20 || fits(field.items, root, one, depth + 1));
    case 'map':
      return isObject(value);
    case 'object':
      if (!isObject(value)) return false;
      if (!field.rest && isClosed(schema, root) && Object.keys(value).some((name) => !field.properties.some((one) => one.name === name))) return false;
      return field.properties.every(({ name, schema: own, isRequired }) =>
        Object.hasOwn(value, name) ? depth > 20 || fits(own, root, value[name] as Json, depth + 1) : !isRequired,
      );
    case 'choice':
      return field.options.some((option) => depth > 20 || fits(option.schema, root, value, depth + 1));
    case 'json':
      return !field.isObject || isObject(value);
  }
}

const isClosed = (schema: Schema, root: Schema) => flatten(schema, root)?.additionalProperties === false;

/** The draft of a value. What the schema has no field for is left out. */
export function draftOf(schema: Schema, root: Schema, value: Json | undefined): Draft {
  const field = describe(schema, root);
  if (value === undefined) return ABSENT;
  if (value === null && field.isNullable) return { kind: 'null' };
  const { isSecret } = field;
  switch (field.kind) {
    case 'text':
      return typeof value === 'string' ? { kind: 'text', text: value, isSecret } : ABSENT;
    case 'number':
      return typeof value === 'number' ? { kind: 'number', text: String(value), isInteger: field.isInteger, isSecret } : ABSENT;
    case 'pick':
      return field.options.some((option) => same(option.value, value)) ? { kind: 'pick', value } : ABSENT;
    case 'list':
      return Array.isArray(value) ? { kind: 'list', items: value.map((one) => item(draftOf(field.items, root, one))) } : ABSENT;
    case 'map':
      return isObject(value)
        ? { kind: 'map', entries: Object.entries(value).map(([name, one]) => entry(name, draftOf(field.values, root, one as Json))) }
        : ABSENT;
    case 'object': {
      if (!isObject(value)) return ABSENT;
      const known = new Set(field.properties.map(({ name }) => name));
      const others = Object.entries(value).filter(([name]) => !known.has(name));
      const fields = Object.fromEntries(
        field.properties.map(({ name, schema: own }) => [name, draftOf(own, root, Object.hasOwn(value, name) ? (value[name] as Json) : undefined)]),
      );
      const rest: Draft =
        field.rest !== null && others.length > 0
          ? { kind: 'json', text: JSON.stringify(Object.fromEntries(others), null, 2), isObject: true, isSecret: isSecret || hasSecret(field.rest, root) }
          : ABSENT;
      return { kind: 'object', fields, rest };
    }
    case 'choice': {
      const index = field.options.findIndex((option) => fits(option.schema, root, value));
      return index < 0 ? ABSENT : { kind: 'choice', index, draft: draftOf(field.options[index]!.schema, root, value) };
    }
    case 'json':
      return { kind: 'json', text: JSON.stringify(value, null, 2), isObject: field.isObject, isSecret };
  }
}

/** A field as it first appears: with its default, and with what it must have. */
export function initialOf(schema: Schema, root: Schema, isRequired: boolean, depth = 0): Draft {
  const field = describe(schema, root);
  if (field.initial !== undefined) {
    const given = draftOf(schema, root, field.initial);
    if (given.kind !== 'absent') return given;
  }
  return isRequired && depth < 20 ? filled(field, root, depth) : ABSENT;
}

/** The draft of a field that somebody wants to fill in. */
export function filled(field: Field, root: Schema, depth = 0): Draft {
  switch (field.kind) {
    case 'pick':
      return field.options.length === 1 && !field.isNullable ? { kind: 'pick', value: field.options[0]!.value } : ABSENT;
    case 'object':
      return {
        kind: 'object',
        fields: Object.fromEntries(field.properties.map(({ name, schema, isRequired }) => [name, initialOf(schema, root, isRequired, depth + 1)])),
        rest: ABSENT,
      };
    case 'list':
      return { kind: 'list', items: Array.from({ length: field.atLeast }, () => item(itemOf(field.items, root, depth + 1))) };
    case 'map':
      return { kind: 'map', entries: [] };
    case 'choice':
      return { kind: 'choice', index: 0, draft: initialOf(field.options[0]!.schema, root, true, depth + 1) };
    default:
      return ABSENT;
  }
}

/** A new item of a list. It cannot be left out, so a text begins as an empty one. */
export function itemOf(schema: Schema, root: Schema, depth = 0): Draft {
  const draft = initialOf(schema, root, true, depth);
  const field = describe(schema, root);
  return draft.kind === 'absent' && field.kind === 'text' ? { kind: 'text', text: '', isSecret: field.isSecret } : draft;
}

export interface Mistake {
  path: readonly string[];
  message: string;
}

export interface Filled {
  /** Undefined when it is left out. */
  value: Json | undefined;
  /** What is not JSON yet, at its place. */
  mistakes: readonly Mistake[];
}

function jsonOf(draft: Raw & { isObject: boolean }, path: readonly string[]): Filled {
  if (draft.text.trim() === '') return { value: undefined, mistakes: [] };
  try {
    const value = JSON.parse(draft.text) as Json;
    if (draft.isObject && !isObject(value)) return { value: undefined, mistakes: [{ path, message: 'Write a JSON object, as in {"name": "value"}.' }] };
    return { value, mistakes: [] };
  } catch (error) {
    // The message of the parser quotes the text, which may be a secret.
    const place = draft.isSecret ? '' : ` ${String((error as Error).message)}.`;
    return { value: undefined, mistakes: [{ path, message: `This is not JSON.${place}` }] };
  }
}

function numberOf(draft: Raw & { isInteger: boolean }, path: readonly string[]): Filled {
  const text = draft.text.trim();
  if (text === '') return { value: undefined, mistakes: [] };
  const wrong = (message: string): Filled => ({ value: undefined, mistakes: [{ path, message }] });
  if (!/^[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?$/i.test(text)) return wrong('This is not a number.');
  const value = Number(text);
  if (!Number.isFinite(value)) return wrong('This number is too large.');
  if (draft.isInteger && !Number.isInteger(value)) return wrong('Write a whole number.');
  if (Number.isInteger(value) && !Number.isSafeInteger(value) && /^[-+]?\d+$/.test(text)) return wrong('This number is too large to be exact in a browser.');
  return { value, mistakes: [] };
}

/** The JSON of a draft. */
export function valueOf(draft: Draft, path: readonly string[] = []): Filled {
  switch (draft.kind) {
    case 'absent':
      return { value: undefined, mistakes: [] };
    case 'null':
      return { value: null, mistakes: [] };
    case 'pick':
      return { value: draft.value, mistakes: [] };
    case 'choice':
      return valueOf(draft.draft, path);
    case 'text':
      return { value: draft.text, mistakes: [] };
    case 'number':
      return numberOf(draft, path);
    case 'json':
      return jsonOf(draft, path);
    case 'object': {
      const rest = valueOf(draft.rest, [...path, '*']);
      const parts = Object.entries(draft.fields).map(([name, one]) => [name, valueOf(one, [...path, name])] as const);
      const own = parts.flatMap(([name, { value }]) => (value === undefined ? [] : [[name, value] as const]));
      const others = isObject(rest.value) ? (rest.value as { [name: string]: Json }) : {};
      return { value: Object.fromEntries([...Object.entries(others), ...own]), mistakes: [...rest.mistakes, ...parts.flatMap(([, one]) => one.mistakes)] };
    }
    case 'list': {
      const parts = draft.items.map((one, index) => valueOf(one.draft, [...path, String(index)]));
      const missing = parts.flatMap(({ value, mistakes }, index) =>
        value === undefined && mistakes.length === 0 ? [{ path: [...path, String(index)], message: 'Fill this in, or remove it.' }] : [],
      );
      return { value: parts.flatMap(({ value }) => (value === undefined ? [] : [value])), mistakes: [...parts.flatMap((one) => one.mistakes), ...missing] };
    }
    case 'map': {
      const names = draft.entries.map(({ name }) => name);
      const mistakes: Mistake[] = [];
      const pairs = draft.entries.flatMap(({ name, draft: one }, index) => {
        const found = valueOf(one, [...path, name]);
        mistakes.push(...found.mistakes);
        if (names.indexOf(name) < index) mistakes.push({ path: [...path, name], message: `There are two entries with the name ${name || '(empty)'}.` });
        if (found.value === undefined && found.mistakes.length === 0) mistakes.push({ path: [...path, name], message: 'Fill this in, or remove it.' });
        return found.value === undefined ? [] : [[name, found.value] as const];
      });
      return { value: Object.fromEntries(pairs), mistakes };
    }
  }
}
