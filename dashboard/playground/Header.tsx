// The bar above GraphiQL: the name, who is signed in, and the field for a key.
import { useState, type FormEvent } from 'react';
import { cleanKey } from '../shared/key';
import type { Session } from '../shared/session';
import { storage } from './storage';

function label(session: Session): string {
  switch (session.state) {
    case 'checking':
      return 'Checking…';
    case 'anonymous':
      return 'Not signed in';
    case 'signed-in':
      return `Signed in: ${session.name} · ${session.role}`;
    case 'ended':
      return 'Signed out';
    case 'refused':
      return 'Key refused';
    case 'unreachable':
      return 'No response from the server';
  }
}

function explanation(session: Session): string | undefined {
  if (session.state !== 'signed-in') return undefined;
  const end = session.expiresAt ? `Until ${session.expiresAt}` : 'Without an end';
  return `${label(session)}. ${end}.`;
}

/** Removes tabs and history, and begins anew without them. */
function clearBrowser(): void {
  storage.clear();
  location.reload();
}

interface Props {
  session: Session;
  hasLeft: boolean;
  onKey(key: string): void;
  onSignOut(): void;
}

export function Header({ session, hasLeft, onKey, onSignOut }: Props) {
  const [text, setText] = useState('');
  const [mistake, setMistake] = useState('');
  const isSignedIn = session.state === 'signed-in';
  const submit = (event: FormEvent) => {
    event.preventDefault();
    const key = cleanKey(text);
    const isEmpty = text.trim() === '';
    setMistake(isEmpty ? 'Enter an API key first.' : key === null ? 'An API key has no spaces and only ASCII characters.' : '');
    if (key === null || isEmpty) return;
    setText('');
    onKey(key);
  };
  const reason = mistake || ('reason' in session ? session.reason : '');
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
        <span className="status-text">
          <span className="status-name">{isSignedIn ? `Signed in: ${session.name}` : label(session)}</span>
          {isSignedIn && <span className="status-role">{` · ${session.role}`}</span>}
        </span>
      </span>
      {isSignedIn && (
        <button type="button" onClick={onSignOut}>
          Sign out
        </button>
      )}
      {!isSignedIn && (
        <form onSubmit={submit}>
          <input
            type="password"
            name="key"
            value={text}
            onChange={(event) => setText(event.target.value)}
            placeholder="API key, cb_…"
            aria-label="API key"
            aria-invalid={reason !== ''}
            aria-describedby="key-reason"
            autoComplete="off"
            spellCheck={false}
          />
          <button type="submit">Sign in</button>
        </form>
      )}
      {!isSignedIn && (
        <p className="reason" id="key-reason" role="alert">
          {reason}
        </p>
      )}
      {!isSignedIn && hasLeft && (
        <p className="kept">
          Tabs and history stay in this browser.
          <button type="button" onClick={clearBrowser}>
            Clear
          </button>
        </p>
      )}
    </header>
  );
}
