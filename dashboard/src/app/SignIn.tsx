// Trades an API key for a session. The key is not kept anywhere.
import { getRouteApi, useRouter } from '@tanstack/react-router';
import { useEffect, useState, type FormEvent } from 'react';
import { cleanKey } from '../../shared/key';
import { Brand } from './Brand';
import { enter, useSession } from './session';

const route = getRouteApi('/sign-in');

export function SignIn() {
  const { to } = route.useSearch();
  const router = useRouter();
  const session = useSession();
  const [text, setText] = useState('');
  const [mistake, setMistake] = useState('');
  const [isBusy, setBusy] = useState(false);
  const isSignedIn = session.state === 'signed-in';
  useEffect(() => {
    document.title = 'Sign in · Callboard';
    if (isSignedIn) router.history.replace(to ?? '/jobs');
  }, [isSignedIn, router, to]);
  const submit = async (event: FormEvent) => {
    event.preventDefault();
    const key = cleanKey(text);
    if (text.trim() === '') return setMistake('Enter an API key first.');
    if (key === null) return setMistake('An API key has no spaces and only ASCII characters.');
    setMistake('');
    setText('');
    setBusy(true);
    await enter(key);
    setBusy(false);
  };
  const reason = mistake || ('reason' in session ? session.reason : '');
  return (
    <main className="sign-in">
      <form className="card" onSubmit={submit}>
        <h1>
          <Brand />
        </h1>
        <p className="soft">Sign in with an API key. It is traded for a session and not kept.</p>
        <label className="field">
          <span>API key</span>
          <input
            type="password"
            name="key"
            value={text}
            onChange={(event) => setText(event.target.value)}
            placeholder="cb_…"
            aria-invalid={reason !== ''}
            aria-describedby="sign-in-reason"
            autoComplete="off"
            spellCheck={false}
            autoFocus
          />
        </label>
        <p className="mistake" id="sign-in-reason" role="alert">
          {reason}
        </p>
        <button type="submit" className="primary" disabled={isBusy}>
          {isBusy ? 'Signing in…' : 'Sign in'}
        </button>
        <p className="soft small">
          An ADMIN makes keys with <code>apiKeyCreate</code>, and the first one is made on the server:
        </p>
        <pre className="small" tabIndex={0} aria-label="How the first key is made">
          callboard-api keys create --role admin NAME
        </pre>
        <p className="small">
          <a href="/playground">Open the API playground</a>
        </p>
      </form>
    </main>
  );
}
