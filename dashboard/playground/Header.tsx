// The bar above GraphiQL: the name, who is signed in, and the field for a key.
import { useState, type FormEvent } from 'react';
import { cleanKey } from './key';
import type { Session } from './session';

function label(session: Session): string {
  switch (session.state) {
    case 'checking':
      return 'Checking…';
    case 'anonymous':
      return 'Not signed in';
    case 'signed-in':
      return `Signed in: ${session.name} · ${session.role}`;
    case 'refused':
      return 'Key refused';
    case 'unreachable':
      return 'No response from the server';
  }
}

function explanation(session: Session): string {
  if (session.state === 'signed-in') {
    return session.expiresAt ? `Signed in until ${session.expiresAt}` : 'This sign-in does not expire.';
  }
  return 'reason' in session ? session.reason : '';
}

interface Props {
  session: Session;
  onKey(key: string): void;
  onSignOut(): void;
}

export function Header({ session, onKey, onSignOut }: Props) {
  const [text, setText] = useState('');
  const [isInvalid, setInvalid] = useState(false);
  const submit = (event: FormEvent) => {
    event.preventDefault();
    const key = cleanKey(text);
    setInvalid(key === null);
    if (key === null) return;
    setText('');
    onKey(key);
  };
  return (
    <header className="bar">
      <a className="brand" href="/">
        <svg viewBox="0 0 32 32" width="24" height="24" aria-hidden="true">
          <rect width="32" height="32" rx="7" className="mark" />
          <path d="M8 10h16M8 16h10M8 22h13" className="lines" />
          <circle cx="24" cy="16" r="2.5" className="lamp" />
        </svg>
        Callboard
      </a>
      <h1>Playground</h1>
      <span className="status" role="status" data-state={session.state} title={explanation(session)}>
        <span className="dot" aria-hidden="true" />
        {label(session)}
      </span>
      {session.state === 'signed-in' && (
        <button type="button" onClick={onSignOut}>
          Sign out
        </button>
      )}
      {session.state !== 'signed-in' && (
        <form onSubmit={submit}>
          <input
            type="password"
            name="key"
            value={text}
            onChange={(event) => setText(event.target.value)}
            placeholder="API key, cb_…"
            aria-label="API key"
            aria-invalid={isInvalid}
            autoComplete="off"
            spellCheck={false}
          />
          <button type="submit">Sign in</button>
        </form>
      )}
    </header>
  );
}
