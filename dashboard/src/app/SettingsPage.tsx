import { useEffect, useState } from 'react';
import { useStore } from '../ui/store';
import { Time } from '../ui/Time';
import { choose, isZone, settings, type Theme } from './settings';
import { useSession } from './session';

const THEMES: readonly [Theme, string][] = [
  ['system', 'As the system'],
  ['light', 'Light'],
  ['dark', 'Dark'],
];

function Zone() {
  const { zone } = useStore(settings);
  const [name, setName] = useState(zone === 'local' || zone === 'UTC' ? '' : zone);
  const isNamed = zone !== 'local' && zone !== 'UTC';
  const isWrong = name !== '' && !isZone(name);
  const zones = Intl.supportedValuesOf('timeZone');
  return (
    <fieldset className="choices">
      <legend>Time zone</legend>
      <label>
        <input type="radio" name="zone" checked={zone === 'local'} onChange={() => choose({ zone: 'local' })} />
        {`Local (${Intl.DateTimeFormat().resolvedOptions().timeZone})`}
      </label>
      <label>
        <input type="radio" name="zone" checked={zone === 'UTC'} onChange={() => choose({ zone: 'UTC' })} />
        UTC
      </label>
      <label>
        <input type="radio" name="zone" checked={isNamed} disabled={name === '' || isWrong} onChange={() => choose({ zone: name })} />
        Named
        <input
          type="text"
          list="zones"
          value={name}
          aria-label="Name of the time zone"
          aria-invalid={isWrong}
          placeholder="Europe/Berlin"
          onChange={({ target }) => {
            setName(target.value);
            if (isZone(target.value)) choose({ zone: target.value });
          }}
        />
        <datalist id="zones">
          {zones.map((one) => (
            <option key={one} value={one} />
          ))}
        </datalist>
      </label>
      {isWrong && <p className="mistake">{`No time zone is named ${name}. Names look like Europe/Berlin.`}</p>}
    </fieldset>
  );
}

export function SettingsPage() {
  const { theme } = useStore(settings);
  const session = useSession();
  const [now] = useState(() => new Date().toISOString());
  useEffect(() => {
    document.title = 'Settings · Callboard';
  }, []);
  return (
    <div className="page narrow">
      <h1>Settings</h1>
      <p className="soft">They belong to this browser.</p>
      <fieldset className="choices">
        <legend>Theme</legend>
        {THEMES.map(([value, name]) => (
          <label key={value}>
            <input type="radio" name="theme" checked={theme === value} onChange={() => choose({ theme: value })} />
            {name}
          </label>
        ))}
      </fieldset>
      <Zone />
      <p className="soft">
        {'Times look like this: '}
        <Time at={now} />
      </p>
      {session.state === 'signed-in' && (
        <p className="soft">
          {`Signed in as ${session.name}, ${session.role}`}
          {session.expiresAt && (
            <>
              {', until '}
              <Time at={session.expiresAt} />
            </>
          )}
          .
        </p>
      )}
    </div>
  );
}
