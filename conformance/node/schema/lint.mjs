// npm run lint-schema -- SCHEMA: exits with 1 if the schema breaks a rule of eslint.mjs.
import { dirname, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { ESLint } from 'eslint';
import { config } from './eslint.mjs';

export async function lint(file) {
  const path = resolve(file);
  // The file is usually outside this package, and ESLint lints only below its own directory.
  const eslint = new ESLint({ cwd: dirname(path), overrideConfigFile: true, overrideConfig: config(path) });
  const results = await eslint.lintFiles([path]);
  const report = await (await eslint.loadFormatter('stylish')).format(results);
  return { errors: results.flatMap(({ messages }) => messages), report };
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  if (process.argv.length !== 3) {
    console.error('usage: npm run lint-schema -- SCHEMA');
    process.exit(2);
  }
  const { errors, report } = await lint(process.argv[2]);
  console.log(report || `${process.argv[2]}: clean`);
  process.exitCode = errors.length > 0 ? 1 : 0;
}
