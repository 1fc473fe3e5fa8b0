// npm run contract -- CONTRACT SCHEMA: SCHEMA must hold everything in CONTRACT: every type with its
// kind, interfaces and members, every field, argument and input field with its type, nullability
// and default, and every enum value. It may hold more, except a new required argument or input
// field, which would break a client that knows only the contract.
//
// not-yet.txt lists what is still to be built, one "Type", "Type.field" or "Type.field.argument"
// per line. "#" begins a comment. A listed part that SCHEMA has is an error, so that the list only
// shrinks.
import { readFileSync } from 'node:fs';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { astFromValue, buildSchema, isEnumType, isInputObjectType, isInterfaceType, isIntrospectionType, isObjectType, isRequiredArgument, isRequiredInputField, isSpecifiedScalarType, isUnionType, print } from 'graphql';

const kindOf = (type) => type.constructor.name.replace(/^GraphQL(.*)Type$/, '$1');
const hasFields = (type) => isObjectType(type) || isInterfaceType(type) || isInputObjectType(type);
const own = (schema) => Object.values(schema.getTypeMap()).filter((type) => !isIntrospectionType(type) && !isSpecifiedScalarType(type));
const defaultOf = ({ type, defaultValue }) => (defaultValue === undefined ? undefined : print(astFromValue(defaultValue, type)));

/** Returns how a value (field, argument, input field) differs from the contract, or null. */
function difference(wanted, found) {
  if (!found) return 'missing';
  if (String(found.type) !== String(wanted.type)) return `is ${found.type}, should be ${wanted.type}`;
  const standard = defaultOf(wanted);
  if (standard !== undefined && defaultOf(found) !== standard) return `defaults to ${defaultOf(found) ?? 'nothing'}, should default to ${standard}`;
  return null;
}

function* fieldEntries(path, wanted, found) {
  yield { path, parent: path.split('.')[0], why: difference(wanted, found) };
  for (const argument of wanted.args ?? []) {
    const counterpart = found?.args?.find(({ name }) => name === argument.name);
    yield { path: `${path}.${argument.name}`, parent: path, why: difference(argument, counterpart) };
  }
  for (const argument of found?.args ?? []) {
    const isNew = !wanted.args?.some(({ name }) => name === argument.name);
    if (isNew && isRequiredArgument(argument)) yield { path: `${path}.${argument.name}`, parent: path, why: 'is required and not in the contract' };
  }
}

function* memberEntries(wanted, found) {
  const { name } = wanted;
  const entry = (member, isThere) => ({ path: `${name}.${member}`, parent: name, why: isThere ? null : 'missing' });
  if (isEnumType(wanted)) for (const value of wanted.getValues()) yield entry(value.name, found?.getValue(value.name));
  if (isUnionType(wanted)) for (const type of wanted.getTypes()) yield entry(type.name, found?.getTypes().some((other) => other.name === type.name));
  if (!hasFields(wanted)) return;
  for (const type of wanted.getInterfaces?.() ?? []) {
    yield entry(`implements.${type.name}`, found?.getInterfaces().some((other) => other.name === type.name));
  }
  if (wanted.isOneOf) yield entry('@oneOf', found?.isOneOf);
  const fields = found?.getFields() ?? {};
  for (const [field, definition] of Object.entries(wanted.getFields())) yield* fieldEntries(`${name}.${field}`, definition, fields[field]);
  if (!isInputObjectType(wanted)) return;
  for (const [field, definition] of Object.entries(fields)) {
    const isNew = !(field in wanted.getFields());
    if (isNew && isRequiredInputField(definition)) yield { path: `${name}.${field}`, parent: name, why: 'is required and not in the contract' };
  }
}

/**
 * Returns an entry for every part of the contract. Its `why` is null if the schema has the part.
 */
export function compare(contractSdl, schemaSdl) {
  const contract = buildSchema(contractSdl);
  const schema = buildSchema(schemaSdl);
  const entries = [];
  for (const wanted of own(contract)) {
    const found = schema.getType(wanted.name);
    const isSame = found && kindOf(found) === kindOf(wanted);
    const why = !found ? 'missing' : isSame ? null : `is ${kindOf(found)}, should be ${kindOf(wanted)}`;
    entries.push({ path: wanted.name, parent: null, why }, ...memberEntries(wanted, isSame ? found : undefined));
  }
  return entries;
}

export function readList(text) {
  return text.split('\n').map((line) => line.replace(/#.*/, '').trim()).filter(Boolean);
}

/**
 * Returns the problems, given the list of what may be missing. A missing parent covers its parts.
 */
export function judge(entries, list) {
  const byPath = new Map(entries.map((entry) => [entry.path, entry]));
  const isCovered = ({ path, parent }) => {
    if (list.includes(path)) return true;
    return parent !== null && byPath.get(parent).why !== null;
  };
  const problems = entries.filter((entry) => entry.why && !isCovered(entry)).map(({ path, why }) => `${path}  # ${why}`);
  for (const path of list) {
    const entry = byPath.get(path);
    if (!entry) problems.push(`${path}  # is listed in not-yet.txt, but is not in the contract`);
    else if (entry.why === null) problems.push(`${path}  # is listed in not-yet.txt, but the schema has it. Remove it from the list.`);
  }
  const missing = entries.filter(({ why }) => why).length;
  return { problems, present: entries.length - missing, total: entries.length };
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const [contractFile, schemaFile] = process.argv.slice(2);
  if (!schemaFile) {
    console.error('usage: npm run contract -- CONTRACT SCHEMA');
    process.exit(2);
  }
  const list = readList(readFileSync(fileURLToPath(new URL('../not-yet.txt', import.meta.url)), 'utf8'));
  const { problems, present, total } = judge(compare(readFileSync(contractFile, 'utf8'), readFileSync(schemaFile, 'utf8')), list);
  problems.forEach((problem) => console.log(problem));
  console.log(`${present} of ${total} parts of the contract are present, ${list.length} listed in not-yet.txt, ${problems.length} problems`);
  process.exitCode = problems.length > 0 ? 1 : 0;
}
