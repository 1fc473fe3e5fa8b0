// npm run breaking -- OLD NEW [ACCEPTED]: compares two SDL files, lists the changes for clients,
// and exits with 1 if NEW breaks what works with OLD. Changes that are only dangerous, such as new
// enum values, are listed and permitted.
//
// ACCEPTED lists accepted breaking changes, one per line as printed. "#" begins a comment with the
// reason, or with the record in docs/adr/ that has it.
import { readFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import { CriticalityLevel, diff } from '@graphql-inspector/core';
import { buildSchema } from 'graphql';
import { readList } from './contract.mjs';

export async function changes(oldSdl, newSdl, accepted = []) {
  const all = await diff(buildSchema(oldSdl), buildSchema(newSdl));
  const at = (level) => all.filter(({ criticality }) => criticality.level === level);
  const breaks = at(CriticalityLevel.Breaking);
  const isAccepted = ({ message }) => accepted.includes(message);
  return {
    breaking: breaks.filter((change) => !isAccepted(change)),
    accepted: breaks.filter(isAccepted),
    dangerous: at(CriticalityLevel.Dangerous),
    total: all.length,
  };
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const [oldFile, newFile, acceptedFile] = process.argv.slice(2);
  if (!newFile) {
    console.error('usage: npm run breaking -- OLD NEW [ACCEPTED]');
    process.exit(2);
  }
  const list = acceptedFile ? readList(readFileSync(acceptedFile, 'utf8')) : [];
  const found = await changes(readFileSync(oldFile, 'utf8'), readFileSync(newFile, 'utf8'), list);
  found.dangerous.forEach(({ message }) => console.log(`dangerous: ${message}`));
  found.accepted.forEach(({ message }) => console.log(`accepted:  ${message}`));
  found.breaking.forEach(({ message }) => console.log(`breaking:  ${message}`));
  console.log(`${found.total} changes, ${found.dangerous.length} dangerous, ${found.breaking.length} breaking`);
  process.exitCode = found.breaking.length > 0 ? 1 : 0;
}
