// Ctrl+K: pages, actions, and whatever the API finds for what is typed.
import { Dialog } from '@base-ui/react/dialog';
import { useRouter } from '@tanstack/react-router';
import { useEffect, useState, type KeyboardEvent } from 'react';
import { useAsk } from '../api/ask';
import { wordOf } from '../ui/State';
import { Find, FindNode } from './documents';
import { leave } from './session';
import { choose } from './settings';
import { usePages } from './usePages';

interface Entry {
  key: string;
  name: string;
  kind: string;
  run(): void;
}

const ID = /^[a-z]+_[0-9a-z]{26}$/;

/** What was typed, once nobody types for a moment. */
function useSettled(text: string): string {
  const [settled, setSettled] = useState(text);
  useEffect(() => {
    const timer = setTimeout(() => setSettled(text), 150);
    return () => clearTimeout(timer);
  }, [text]);
  return settled;
}

function useFound(text: string): Entry[] {
  const router = useRouter();
  const typed = useSettled(text.trim());
  const isId = ID.test(typed);
  const { data: found } = useAsk(Find, typed !== '' && !isId ? { text: typed } : null);
  const { data: node } = useAsk(FindNode, isId ? { id: typed } : null);
  const openJob = (jobId: string) => () => void router.navigate({ to: '/jobs/$jobId', params: { jobId } });
  if (isId) {
    const one = node?.node;
    if (!one) return [];
    if (one.__typename === 'Job') {
      return [{ key: one.id, name: `${one.command?.name ?? 'A job'}, ${wordOf(one.state)}`, kind: 'Job', run: openJob(one.id) }];
    }
    if (one.__typename === 'Queue') {
      const { name } = one;
      return [{ key: one.id, name: `Queue ${name}`, kind: 'Queue', run: () => void router.navigate({ to: '/queues/$name', params: { name } }) }];
    }
    if (one.__typename === 'Worker') {
      return [{ key: one.id, name: `Worker on ${one.hostname}`, kind: 'Worker', run: () => void router.navigate({ to: '/workers' }) }];
    }
    if (one.__typename === 'Schedule') {
      const { name } = one;
      return [{ key: one.id, name: `Schedule ${name}`, kind: 'Schedule', run: () => void router.navigate({ to: '/schedules', search: { q: name } }) }];
    }
    if (one.__typename === 'Command') {
      return [{ key: one.id, name: one.name, kind: 'Command', run: () => void router.navigate({ to: '/commands/$commandId', params: { commandId: one.id } }) }];
    }
    if (one.__typename === 'Profile') {
      return [{ key: one.id, name: one.name, kind: 'Profile', run: () => void router.navigate({ to: '/profiles/$profileId', params: { profileId: one.id } }) }];
    }
    if (one.__typename === 'Service') {
      return [{ key: one.id, name: one.name, kind: 'Service', run: () => void router.navigate({ to: '/services/$serviceId', params: { serviceId: one.id } }) }];
    }
    if (one.__typename === 'Proxy') {
      return [{ key: one.id, name: one.name, kind: 'Proxy', run: () => void router.navigate({ to: '/proxies/$proxyId', params: { proxyId: one.id } }) }];
    }
    return [];
  }
  if (!found) return [];
  return [
    ...found.commands.nodes.map(({ id, name }) => ({
      key: `compose-${id}`,
      name: `Compose ${name}`,
      kind: 'Command',
      run: () => void router.navigate({ to: '/compose', search: { command: id } }),
    })),
    ...found.commands.nodes.map(({ id, name }) => ({
      key: id,
      name,
      kind: 'Command',
      run: () => void router.navigate({ to: '/commands/$commandId', params: { commandId: id } }),
    })),
    ...found.profiles.nodes.map(({ id, name }) => ({
      key: id,
      name,
      kind: 'Profile',
      run: () => void router.navigate({ to: '/profiles/$profileId', params: { profileId: id } }),
    })),
    ...found.schedules.nodes.map(({ id, name }) => ({
      key: id,
      name: `Schedule ${name}`,
      kind: 'Schedule',
      run: () => void router.navigate({ to: '/schedules', search: { q: name } }),
    })),
    ...found.jobs.nodes.map(({ id, state, command }) => ({
      key: id,
      name: `${command?.name ?? 'deleted command'} ${id.slice(-6)}, ${wordOf(state)}`,
      kind: 'Job',
      run: openJob(id),
    })),
  ];
}

function useEntries(text: string, onHelp: () => void): Entry[] {
  const router = useRouter();
  const found = useFound(text);
  const pages = usePages();
  const fixed: Entry[] = [
    ...pages.map(({ path, name }) => ({ key: path, name, kind: 'Page', run: () => void router.navigate({ to: path }) })),
    { key: 'failed', name: 'Failed jobs', kind: 'Page', run: () => void router.navigate({ to: '/jobs', search: { state: ['FAILED'] } }) },
    { key: 'playground', name: 'Playground', kind: 'Page', run: () => location.assign('/playground') },
    { key: 'light', name: 'Light theme', kind: 'Action', run: () => choose({ theme: 'light' }) },
    { key: 'dark', name: 'Dark theme', kind: 'Action', run: () => choose({ theme: 'dark' }) },
    { key: 'utc', name: 'Show times in UTC', kind: 'Action', run: () => choose({ zone: 'UTC' }) },
    { key: 'local', name: 'Show local times', kind: 'Action', run: () => choose({ zone: 'local' }) },
    { key: 'keys', name: 'Show the keys', kind: 'Action', run: onHelp },
    { key: 'out', name: 'Sign out', kind: 'Action', run: () => void leave() },
  ];
  const wanted = text.trim().toLowerCase();
  return [...fixed.filter(({ name }) => name.toLowerCase().includes(wanted)), ...found];
}

export function Palette({ onClose, onHelp }: { onClose(): void; onHelp(): void }) {
  const [text, setText] = useState('');
  const [at, setAt] = useState(0);
  const entries = useEntries(text, onHelp);
  const current = Math.min(at, entries.length - 1);
  const run = (entry: Entry | undefined) => {
    if (!entry) return;
    onClose();
    entry.run();
  };
  const onKey = (event: KeyboardEvent) => {
    if (event.key === 'ArrowDown') setAt(Math.min(current + 1, entries.length - 1));
    else if (event.key === 'ArrowUp') setAt(Math.max(current - 1, 0));
    else if (event.key === 'Enter') run(entries[current]);
    else return;
    event.preventDefault();
  };
  return (
    <Dialog.Root open onOpenChange={(isOpen) => isOpen || onClose()}>
      <Dialog.Portal>
        <Dialog.Backdrop className="backdrop" />
        <Dialog.Popup className="palette">
          <Dialog.Title className="hidden">Go to</Dialog.Title>
          <input
            className="palette-input"
            role="combobox"
            aria-label="Go to"
            aria-expanded={entries.length > 0}
            aria-controls="palette-list"
            aria-activedescendant={entries[current] ? `palette-${entries[current].key}` : undefined}
            placeholder="A page, a command, a profile, or an id"
            value={text}
            onChange={({ target }) => (setText(target.value), setAt(0))}
            onKeyDown={onKey}
            spellCheck={false}
          />
          <ul id="palette-list" className="palette-list" role="listbox" aria-label="Found">
            {entries.map((entry, index) => (
              <li
                key={entry.key}
                id={`palette-${entry.key}`}
                role="option"
                aria-selected={index === current}
                onPointerMove={() => setAt(index)}
                onClick={() => run(entry)}
              >
                {entry.name}
                <span className="palette-kind">{entry.kind}</span>
              </li>
            ))}
          </ul>
          {entries.length === 0 && <p className="palette-none">Nothing has this name or id.</p>}
        </Dialog.Popup>
      </Dialog.Portal>
    </Dialog.Root>
  );
}
