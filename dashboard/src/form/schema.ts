// Reads a JSON Schema as what a form shows: one field for each value. What no field can show is a
// field for JSON, so that every schema can be filled in. The server alone decides what is valid.

export type Json = null | boolean | number | string | Json[] | { [name: string]: Json };
export type SchemaObject = { readonly [keyword: string]: unknown };
export type Schema = boolean | SchemaObject;

interface Common {
  title: string | null;
  help: string | null;
  isNullable: boolean;
  /** The schema marks the value writeOnly. */
  isSecret: boolean;
  initial: Json | undefined;
}

export interface Property {
  name: string;
  schema: Schema;
  isRequired: boolean;
}

export type Field = Common &
  (
    | { kind: 'text'; shape: 'line' | 'lines' | 'code'; mayBeEmpty: boolean; hints: readonly string[] }
    | { kind: 'number'; isInteger: boolean }
    | { kind: 'pick'; options: readonly { value: Json; label: string }[] }
    | { kind: 'object'; properties: readonly Property[]; rest: Schema | null }
    | { kind: 'list'; items: Schema; atLeast: number }
    | { kind: 'map'; values: Schema }
    | { kind: 'choice'; options: readonly { label: string; schema: Schema }[] }
    | { kind: 'json'; isObject: boolean }
  );

/** How deep references and allOf are followed before a field for JSON is shown. */
const DEEPEST = 24;
const TYPES = ['string', 'number', 'integer', 'boolean', 'object', 'array', 'null'];
const ANNOTATIONS = ['title', 'description', 'default', 'examples', 'deprecated', 'readOnly', '$comment', '$defs', 'definitions', '$schema', '$id'];
/** Keywords that allow properties which `properties` does not name. */
const OPEN = ['patternProperties', 'then', 'else', 'dependentSchemas', 'dependencies', 'unevaluatedProperties'];

export const isObject = (value: unknown): value is { [name: string]: unknown } =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const isSchema = (value: unknown): value is Schema => typeof value === 'boolean' || isObject(value);
const has = (object: object, name: string) => Object.hasOwn(object, name);

/** What a reference inside of the schema points to. */
function target(root: Schema, reference: string): Schema | undefined {
  if (!reference.startsWith('#')) return undefined;
  let pointer: string;
  try {
    pointer = decodeURIComponent(reference.slice(1));
  } catch {
    return undefined;
  }
  let at: unknown = root;
  if (pointer !== '' && !pointer.startsWith('/')) {
    const definitions = isObject(root) && isObject(root.$defs) ? Object.values(root.$defs) : [];
    at = definitions.find((one) => isObject(one) && one.$anchor === pointer);
  } else {
    for (const part of pointer.split('/').slice(1)) {
      const name = part.replaceAll('~1', '/').replaceAll('~0', '~');
      at = (isObject(at) || Array.isArray(at)) && has(at, name) ? (at as Record<string, unknown>)[name] : undefined;
    }
  }
  return isSchema(at) ? at : undefined;
}

const typesOf = (schema: SchemaObject): string[] =>
  (Array.isArray(schema.type) ? schema.type : [schema.type]).filter((one): one is string => TYPES.includes(one as string));

function commonTypes(left: SchemaObject, right: SchemaObject): string[] {
  const others = typesOf(right);
  return typesOf(left).filter((one) => others.includes(one) || (one === 'integer' && others.includes('number')));
}

/** Both schemas at once, or null when one field cannot say both. */
function merge(left: SchemaObject, right: SchemaObject): SchemaObject | null {
  const merged: Record<string, unknown> = { ...left };
  for (const [keyword, value] of Object.entries(right)) {
    const before = merged[keyword];
    if (before === undefined || ANNOTATIONS.includes(keyword)) merged[keyword] = value;
    else if (keyword === 'writeOnly') merged.writeOnly = before === true || value === true;
    else if (keyword === 'required') merged.required = [...new Set([...(before as string[]), ...(value as string[])])];
    else if (keyword === 'type') {
      const types = commonTypes(left, right);
      const swapped = types.length > 0 ? types : commonTypes(right, left);
      if (swapped.length === 0) return null;
      merged.type = swapped;
    } else if (keyword === 'properties' && isObject(before) && isObject(value)) {
      const properties: Record<string, unknown> = { ...before };
      for (const [name, one] of Object.entries(value)) properties[name] = has(before, name) ? { allOf: [before[name], one] } : one;
      merged.properties = properties;
    } else if (['oneOf', 'anyOf', 'items', 'enum', 'const', 'prefixItems', 'additionalProperties'].includes(keyword)) {
      if (JSON.stringify(before) !== JSON.stringify(value)) return null;
    } else merged[keyword] = value;
  }
  return merged;
}

/** The schema without $ref and allOf, or null when it has no such form. */
export function flatten(schema: Schema, root: Schema, depth = 0): SchemaObject | null {
  if (schema === true) return {};
  if (schema === false || depth > DEEPEST) return null;
  const { $ref: reference, allOf, ...own } = schema;
  let found: SchemaObject | null = own;
  const parts: (Schema | undefined)[] = Array.isArray(allOf) ? allOf.filter(isSchema) : [];
  if (typeof reference === 'string') {
    const pointed = target(root, reference);
    const flat = pointed === undefined ? null : flatten(pointed, root, depth + 1);
    found = flat && merge(flat, own);
  }
  for (const part of parts) {
    const flat: SchemaObject | null = part === undefined ? null : flatten(part, root, depth + 1);
    found = found && flat && merge(found, flat);
  }
  if (!found || typeof found.$dynamicRef === 'string' || typeof found.$recursiveRef === 'string') return null;
  return found;
}

function inferred(schema: SchemaObject): string[] {
  const given = typesOf(schema);
  if (given.length > 0) return given;
  const any = (...keywords: string[]) => keywords.some((keyword) => has(schema, keyword));
  if (any('properties', 'required', 'additionalProperties', 'patternProperties')) return ['object'];
  if (any('items', 'minItems', 'maxItems')) return ['array'];
  if (any('minLength', 'maxLength', 'pattern', 'format')) return ['string'];
  if (any('minimum', 'maximum', 'multipleOf', 'exclusiveMinimum', 'exclusiveMaximum')) return ['number'];
  return [];
}

const textOf = (value: unknown): string | null => (typeof value === 'string' && value !== '' ? value : null);
const NAMES: Record<string, string> = { string: 'Text', number: 'Number', integer: 'Whole number', boolean: 'True or false', object: 'Object', array: 'List', null: 'Null' };
const labelOf = (value: unknown) => (typeof value === 'string' ? value || '(empty text)' : JSON.stringify(value));

/** What a choice is called: its title, the property that tells it apart, or its type. */
function optionLabel(schema: SchemaObject, index: number): string {
  const title = textOf(schema.title);
  if (title) return title;
  for (const one of Object.values(isObject(schema.properties) ? schema.properties : {})) {
    if (isObject(one) && has(one, 'const')) return labelOf(one.const);
  }
  if (has(schema, 'const')) return labelOf(schema.const);
  return `${NAMES[inferred(schema)[0] ?? ''] ?? 'Any'} (${index + 1})`;
}

const secretly = (schema: Schema, isSecret: boolean): Schema =>
  isSecret ? { ...(isObject(schema) ? schema : {}), writeOnly: true } : schema;

/** Whether something below the schema is marked writeOnly. */
export function hasSecret(schema: Schema, root: Schema): boolean {
  const seen = new Set<unknown>();
  const look = (at: unknown): boolean => {
    if (typeof at !== 'object' || at === null || seen.has(at)) return false;
    seen.add(at);
    if (Array.isArray(at)) return at.some(look);
    const { writeOnly, $ref: reference, ...rest } = at as Record<string, unknown>;
    if (writeOnly === true) return true;
    if (typeof reference === 'string' && look(target(root, reference))) return true;
    return Object.entries(rest).some(([keyword, value]) => keyword !== '$defs' && keyword !== 'definitions' && look(value));
  };
  return look(schema);
}

type Part = Field extends infer One ? (One extends Common ? Omit<One, keyof Common> : never) : never;

function choiceOf(flat: SchemaObject, alternatives: readonly Schema[], root: Schema, isSecret: boolean): { part: Part; isNullable: boolean } | null {
  const { oneOf: _one, anyOf: _any, title: _title, description: _help, default: _initial, ...base } = flat;
  const all = alternatives.map((one) => {
    const other = flatten(one, root);
    return other && merge(base, other);
  });
  if (all.some((one) => one === null)) return null;
  const isNull = (one: SchemaObject) => (typesOf(one).join() === 'null' || (has(one, 'const') && one.const === null));
  const real = (all as SchemaObject[]).filter((one) => !isNull(one));
  const isNullable = real.length < all.length;
  if (real.length === 0) return { part: { kind: 'pick', options: [{ value: null, label: 'null' }] }, isNullable: false };
  if (real.every((one) => has(one, 'const'))) {
    const options = real.map((one) => ({ value: one.const as Json, label: textOf(one.title) ?? labelOf(one.const) }));
    return { part: { kind: 'pick', options }, isNullable };
  }
  const options = real.map((one, index) => ({ label: optionLabel(one, index), schema: secretly(one, isSecret) }));
  const labels = options.map(({ label }) => label);
  const named = options.map(({ label, schema }, index) => ({ label: labels.indexOf(label) === index ? label : `${label} (${index + 1})`, schema }));
  return { part: { kind: 'choice', options: named }, isNullable };
}

function objectOf(flat: SchemaObject, isSecret: boolean): Part {
  const given = isObject(flat.properties) ? flat.properties : {};
  const required = Array.isArray(flat.required) ? flat.required : [];
  const more = flat.additionalProperties;
  const isOpen = OPEN.some((keyword) => has(flat, keyword) && flat[keyword] !== false);
  // The server does not keep the order of properties. That of `required` is kept.
  const names = [...new Set([...required.filter((one): one is string => typeof one === 'string'), ...Object.keys(given)])];
  const properties = names.filter((name) => given[name] !== false).map((name) => ({
    name,
    schema: secretly(has(given, name) && isSchema(given[name]) ? given[name] : isSchema(more) ? more : true, isSecret),
    isRequired: required.includes(name),
  }));
  if (properties.length === 0 && !isOpen && isObject(more)) return { kind: 'map', values: secretly(more, isSecret) };
  if (properties.length === 0 && (isOpen || more !== false)) return { kind: 'json', isObject: true };
  const rest = isOpen || more === true || isObject(more);
  return { kind: 'object', properties, rest: rest ? secretly({ ...flat, type: 'object' }, isSecret) : null };
}

function partOf(type: string, flat: SchemaObject, isSecret: boolean): Part {
  switch (type) {
    case 'string': {
      const shape = flat.format === 'code' ? 'code' : flat.format === 'multiline' || flat.contentMediaType ? 'lines' : 'line';
      const hints = [
        typeof flat.format === 'string' && !['code', 'multiline', 'password'].includes(flat.format) ? flat.format : '',
        typeof flat.pattern === 'string' ? `matches ${flat.pattern}` : '',
        typeof flat.minLength === 'number' && flat.minLength > 1 ? `at least ${flat.minLength} characters` : '',
        typeof flat.maxLength === 'number' ? `at most ${flat.maxLength} characters` : '',
      ].filter(Boolean);
      return { kind: 'text', shape, mayBeEmpty: !(Number(flat.minLength) > 0), hints };
    }
    case 'number':
    case 'integer':
      return { kind: 'number', isInteger: type === 'integer' };
    case 'boolean':
      return { kind: 'pick', options: [true, false].map((value) => ({ value, label: String(value) })) };
    case 'object':
      return objectOf(flat, isSecret);
    case 'array':
      if (has(flat, 'prefixItems') || Array.isArray(flat.items) || !isSchema(flat.items)) return { kind: 'json', isObject: false };
      return { kind: 'list', items: secretly(flat.items, isSecret), atLeast: Math.min(Number(flat.minItems ?? 0) || 0, 20) };
    default:
      return { kind: 'json', isObject: false };
  }
}

/** The field for a value of the schema. */
export function describe(schema: Schema, root: Schema): Field {
  const flat = flatten(schema, root);
  const shown = flat ?? (isObject(schema) ? schema : {});
  const isSecret = shown.writeOnly === true;
  const common: Common = {
    title: textOf(shown.title),
    help: textOf(shown.description),
    isNullable: false,
    isSecret,
    initial: shown.default as Json | undefined,
  };
  const json = (isAnObject = false): Field => ({ ...common, isSecret: isSecret || hasSecret(schema, root), kind: 'json', isObject: isAnObject });
  if (!flat) return json();
  if (has(flat, 'const')) return { ...common, kind: 'pick', options: [{ value: flat.const as Json, label: labelOf(flat.const) }] };
  if (Array.isArray(flat.enum)) {
    const options = flat.enum.filter((one) => one !== null).map((value: Json) => ({ value, label: labelOf(value) }));
    return { ...common, isNullable: options.length < flat.enum.length, kind: 'pick', options };
  }
  const types = inferred(flat);
  if (Array.isArray(flat.oneOf) && Array.isArray(flat.anyOf)) return json(types.join() === 'object');
  const alternatives: unknown = flat.oneOf ?? flat.anyOf;
  if (Array.isArray(alternatives) && alternatives.length > 0) {
    const found = choiceOf(flat, alternatives.filter(isSchema), root, isSecret);
    if (!found) return json(types.join() === 'object');
    if (found.part.kind === 'choice' && found.part.options.length === 1) {
      const only = describe(found.part.options[0]!.schema, root);
      return { ...only, title: common.title ?? only.title, help: common.help ?? only.help, initial: common.initial ?? only.initial, isNullable: only.isNullable || found.isNullable };
    }
    return { ...common, isNullable: found.isNullable, ...found.part };
  }
  const real = types.filter((one) => one !== 'null' && !(one === 'integer' && types.includes('number')));
  const isNullable = types.includes('null');
  if (types.length > 0 && real.length === 0) return { ...common, kind: 'pick', options: [{ value: null, label: 'null' }] };
  if (real.length > 1) {
    const options = real.map((type) => ({ label: NAMES[type] ?? type, schema: { ...flat, type, title: undefined, description: undefined, default: undefined } }));
    return { ...common, isNullable, kind: 'choice', options };
  }
  const part = real.length === 1 ? partOf(real[0]!, flat, isSecret) : ({ kind: 'json', isObject: false } as const);
  if (part.kind === 'json') return { ...json(part.isObject), isNullable };
  return { ...common, isNullable, ...part };
}
