// Somebody else has saved the command since it was read: what differs, side by side.
import { useEffect, useRef } from 'react';
import { Icon } from '../ui/Icon';
import type { Conflict } from './edit';
import { FIELD_NAMES } from './words';

interface Props {
  conflicts: readonly Conflict[];
  isBusy: boolean;
  onMine(): void;
  onTheirs(): void;
}

export function Conflicts({ conflicts, isBusy, onMine, onTheirs }: Props) {
  const head = useRef<HTMLHeadingElement>(null);
  useEffect(() => head.current?.focus(), []);
  return (
    <section className="step conflict" aria-label="Conflict">
      <h2 ref={head} tabIndex={-1}>
        <Icon name="warning" /> Somebody else has changed this command
      </h2>
      <p>{conflicts.length === 0 ? 'What is stored now is the same as yours.' : 'What differs, yours and what is stored now. Saving yours changes only the fields that you changed.'}</p>
      {conflicts.map(({ field, mine, stored }) => (
        <div key={field} className="conflict-sides">
          <h3>{FIELD_NAMES[field] ?? field}</h3>
          <figure>
            <figcaption>Yours</figcaption>
            <pre className="block" tabIndex={0} aria-label={`Yours, ${field}`}>
              {mine}
            </pre>
          </figure>
          <figure>
            <figcaption>Stored now</figcaption>
            <pre className="block" tabIndex={0} aria-label={`Stored now, ${field}`}>
              {stored}
            </pre>
          </figure>
        </div>
      ))}
      <div className="composer-acts">
        <button type="button" onClick={onTheirs} disabled={isBusy}>
          Take what is stored
        </button>
        <button type="button" className="danger" onClick={onMine} disabled={isBusy}>
          Save mine over it
        </button>
      </div>
    </section>
  );
}
