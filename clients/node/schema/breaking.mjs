// npm run breaking -- OLD NEW: compares two SDL files, lists what changed for clients, and exits with 1 when NEW breaks
// what works with OLD. New enum values and the like are dangerous, not breaking: listed, and let through.
import { readFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import { CriticalityLevel, diff } from '@graphql-inspector/core';
import { buildSchema } from 'graphql';

export async function changes(oldSdl, newSdl) {
  const all = await diff(buildSchema(oldSdl), buildSchema(newSdl));
  const at = (level) => all.filter(({ criticality }) => criticality.level === level);
  return { breaking: at(CriticalityLevel.Breaking), dangerous: at(CriticalityLevel.Dangerous), total: all.length };
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const [oldFile, newFile] = process.argv.slice(2);
  if (!newFile) {
    console.error('usage: npm run breaking -- OLD NEW');
    process.exit(2);
  }
  const { breaking, dangerous, total } = await changes(readFileSync(oldFile, 'utf8'), readFileSync(newFile, 'utf8'));
  dangerous.forEach(({ message }) => console.log(`dangerous: ${message}`));
  breaking.forEach(({ message }) => console.log(`breaking:  ${message}`));
  console.log(`${total} changes, ${dangerous.length} dangerous, ${breaking.length} breaking`);
  process.exitCode = breaking.length > 0 ? 1 : 0;
}
