// Filters and orders that a person has named. They are kept in this browser.
import { Dialog } from '@base-ui/react/dialog';
import { Link } from '@tanstack/react-router';
import { useState, type FormEvent } from 'react';
import { parseSearch, stringifySearch } from '../app/url';
import { Icon } from '../ui/Icon';
import { createStore, useStore } from '../ui/store';
import { validJobsSearch, type JobsSearch } from './search';

interface SavedView {
  name: string;
  /** The query of its address. */
  query: string;
}

const STORED = 'callboard.views.jobs';

function read(): SavedView[] {
  try {
    const found: unknown = JSON.parse(localStorage.getItem(STORED) ?? '[]');
    if (!Array.isArray(found)) return [];
    return found.filter((one: Partial<SavedView>): one is SavedView => typeof one?.name === 'string' && typeof one?.query === 'string');
  } catch {
    return [];
  }
}

const views = createStore<readonly SavedView[]>(read());

function keep(next: readonly SavedView[]): void {
  views.set(next);
  try {
    localStorage.setItem(STORED, JSON.stringify(next));
  } catch {
    // Without storage they last as long as the page.
  }
}

export function SavedViews({ search }: { search: JobsSearch }) {
  const [isOpen, setOpen] = useState(false);
  const [name, setName] = useState('');
  const saved = useStore(views);
  const query = stringifySearch({ ...search });
  const save = (event: FormEvent) => {
    event.preventDefault();
    const text = name.trim();
    if (!text) return;
    keep([...saved.filter((view) => view.name !== text), { name: text, query }].sort((a, b) => a.name.localeCompare(b.name)));
    setName('');
  };
  return (
    <Dialog.Root open={isOpen} onOpenChange={setOpen}>
      <Dialog.Trigger>
        <Icon name="star" />
        Views
      </Dialog.Trigger>
      <Dialog.Portal>
        <Dialog.Backdrop className="backdrop" />
        <Dialog.Popup className="dialog">
          <Dialog.Title className="dialog-title">Saved views</Dialog.Title>
          {saved.length === 0 && <p className="soft">None yet. Name the filters and the order that are shown now.</p>}
          <ul className="views">
            {saved.map((view) => (
              <li key={view.name}>
                <Link to="/jobs" search={validJobsSearch(parseSearch(view.query))} onClick={() => setOpen(false)}>
                  {view.name}
                </Link>
                <button
                  type="button"
                  className="quiet"
                  aria-label={`Delete the view ${view.name}`}
                  onClick={() => keep(saved.filter((other) => other !== view))}
                >
                  <Icon name="close" />
                </button>
              </li>
            ))}
          </ul>
          <form className="row-form" onSubmit={save}>
            <input value={name} onChange={({ target }) => setName(target.value)} aria-label="Name of the view" placeholder="Name" maxLength={60} />
            <button type="submit" className="primary" disabled={!name.trim()}>
              Save this view
            </button>
          </form>
        </Dialog.Popup>
      </Dialog.Portal>
    </Dialog.Root>
  );
}
