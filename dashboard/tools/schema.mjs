// Reads ../schema.graphql and
//  - writes src/graphql-env.d.ts, from which gql.tada derives the types of documents, and
//  - validates every graphql(`...`) below src, so that a document which the schema does not allow
//    fails the build with its file, line and message.
// Usage: node tools/schema.mjs [DIRECTORY], by default the dashboard.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { minifyIntrospection, outputIntrospectionFile } from '@gql.tada/internal';
import { buildSchema, introspectionFromSchema, Kind, NoUnusedFragmentsRule, parse, specifiedRules, validate, visit } from 'graphql';

/** A document and what it was cut from. */
const DOCUMENT = /\bgraphql\(\s*`([^`]*)`/g;
/** Fragments are checked wherever they stand, and used from other files. */
const RULES = specifiedRules.filter((rule) => rule !== NoUnusedFragmentsRule);

const lineAt = (text, index) => text.slice(0, index).split('\n').length;

/** Returns the documents of a source as { file, line, text }, where `line` is that of the text. */
export function documentsIn(file, source) {
  return [...source.matchAll(DOCUMENT)].map((match) => ({
    file,
    line: lineAt(source, match.index + match[0].length - match[1].length - 1),
    text: match[1],
  }));
}

/** The fragments that a document uses, also through others. */
function fragmentsOf(document, all) {
  const found = new Map();
  const look = (node) =>
    visit(node, {
      FragmentSpread({ name }) {
        const fragment = all.get(name.value);
        if (!fragment || found.has(name.value)) return;
        found.set(name.value, fragment);
        look(fragment);
      },
    });
  look(document);
  for (const { kind, name } of document.definitions) if (kind === Kind.FRAGMENT_DEFINITION) found.delete(name.value);
  return [...found.values()];
}

/** Returns what is wrong with documents, one text for each mistake. */
export function mistakes(schema, documents) {
  const found = [];
  const say = ({ file, line }, error) => found.push(`${file}:${line + (error.locations?.[0]?.line ?? 1) - 1}: ${error.message}`);
  const parsed = [];
  for (const source of documents) {
    try {
      parsed.push({ source, document: parse(source.text) });
    } catch (error) {
      say(source, error);
    }
  }
  const fragments = new Map();
  for (const { document } of parsed) {
    for (const part of document.definitions) if (part.kind === Kind.FRAGMENT_DEFINITION) fragments.set(part.name.value, part);
  }
  for (const { source, document } of parsed) {
    const whole = { ...document, definitions: [...document.definitions, ...fragmentsOf(document, fragments)] };
    // A mistake in a fragment is told where the fragment stands.
    const own = (error) => !error.nodes?.[0]?.loc || error.nodes[0].loc.source === document.loc.source;
    validate(schema, whole, RULES).filter(own).forEach((error) => say(source, error));
  }
  return found;
}

function sourcesUnder(directory) {
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && /\.tsx?$/.test(entry.name) && !entry.name.endsWith('.d.ts'))
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name));
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const dashboard = resolve(process.argv[2] ?? join(dirname(fileURLToPath(import.meta.url)), '..'));
  const schema = buildSchema(readFileSync(join(dashboard, '../schema.graphql'), 'utf8'));
  const introspection = minifyIntrospection(introspectionFromSchema(schema, { descriptions: false }));
  const types = outputIntrospectionFile(introspection, { fileType: '.d.ts', shouldPreprocess: true });
  writeFileSync(join(dashboard, 'src/graphql-env.d.ts'), types);
  const documents = sourcesUnder(join(dashboard, 'src')).flatMap((file) =>
    documentsIn(relative(dashboard, file), readFileSync(file, 'utf8')),
  );
  const found = mistakes(schema, documents);
  found.forEach((mistake) => console.error(mistake));
  console.log(`${documents.length} documents, ${found.length} mistakes`);
  process.exitCode = found.length > 0 ? 1 : 0;
}
