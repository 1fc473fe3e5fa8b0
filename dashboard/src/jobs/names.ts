// The names of the objects that filters name by id.
import { useEffect } from 'react';
import { ask } from '../api/ask';
import { createStore, useStore } from '../ui/store';
import { Names } from './documents';
import { NODE_FIELDS, type JobsSearch, type NodeField } from './search';

const names = createStore<ReadonlyMap<string, string>>(new Map());
const asked = new Set<string>();

export function know(id: string, name: string): void {
  names.set(new Map(names.get()).set(id, name));
}

/** Returns the name of an id, which is the id itself until the name is read. */
export function useNames(search: JobsSearch): (id: string) => string {
  const known = useStore(names);
  const ids = (Object.keys(NODE_FIELDS) as NodeField[]).flatMap((field) => search[field] ?? []);
  const key = ids.join(' ');
  useEffect(() => {
    const unknown = key.split(' ').filter((id) => id && !names.get().has(id) && !asked.has(id)).slice(0, 100);
    if (unknown.length === 0) return;
    for (const id of unknown) asked.add(id);
    void ask(Names, { ids: unknown }).then(({ data }) => {
      for (const node of data?.nodes ?? []) if (node && 'name' in node) know(node.id, node.name);
    });
  }, [key]);
  return (id) => known.get(id) ?? id;
}
