import { useCallback, useEffect, useMemo, useRef, useState } from 'react';
import { GraphiQL } from 'graphiql';
import { createFetcher } from './fetcher';
import { Header } from './Header';
import { storedKey, storeKey, takeKeyFromFragment } from './key';
import { whoAmI, type Session } from './session';
import { storage } from './storage';
import { StreamLog, StreamPanel } from './StreamPanel';
import type { defaultTabs } from './tabs';

function useKey(initial: string | null) {
  const [key, setKey] = useState(initial);
  const change = useCallback((next: string | null) => {
    storeKey(next);
    setKey(next);
  }, []);
  useEffect(() => {
    const onHash = () => {
      const given = takeKeyFromFragment();
      if (given) change(given);
    };
    addEventListener('hashchange', onHash);
    return () => removeEventListener('hashchange', onHash);
  }, [change]);
  return [key, change] as const;
}

function useSession(key: string | null): Session {
  const [session, setSession] = useState<Session>({ state: 'checking' });
  useEffect(() => {
    const abort = new AbortController();
    const look = async () => {
      const found = await whoAmI(key, abort.signal);
      if (!abort.signal.aborted) setSession(found);
    };
    setSession({ state: 'checking' });
    void look();
    // A key can be revoked and a server can come back, so check again whenever the page is shown.
    const onVisible = () => document.visibilityState === 'visible' && void look();
    document.addEventListener('visibilitychange', onVisible);
    return () => {
      abort.abort();
      document.removeEventListener('visibilitychange', onVisible);
    };
  }, [key]);
  return session;
}

/** Returns the key from the address bar, else the one that this tab has stored. */
export function initialKey(): string | null {
  const given = takeKeyFromFragment();
  if (given) storeKey(given);
  return given ?? storedKey();
}

export function App({ firstKey, tabs }: { firstKey: string | null; tabs: ReturnType<typeof defaultTabs> }) {
  const [key, setKey] = useKey(firstKey);
  const session = useSession(key);
  const log = useMemo(() => new StreamLog(), []);
  // A new fetcher makes GraphiQL read the schema again, which a new key requires.
  const fetcher = useMemo(() => createFetcher(key, log), [key, log]);
  // GraphiQL tells of every edit too. The end of a stream belongs to the tab that ran it.
  const shownTab = useRef<string | null>(null);
  const onTabChange = useCallback(
    ({ tabs: all, activeTabIndex }: { tabs: { id: string }[]; activeTabIndex: number }) => {
      const shown = all[activeTabIndex]?.id ?? null;
      if (shown !== shownTab.current) log.clear();
      shownTab.current = shown;
    },
    [log],
  );
  return (
    <>
      <Header session={session} hasKey={key !== null} onKey={setKey} />
      <main>
        <GraphiQL
          fetcher={fetcher}
          storage={storage}
          defaultTabs={tabs}
          onTabChange={onTabChange}
          defaultEditorToolsVisibility="variables"
          shouldPersistHeaders={false}
          showPersistHeadersSettings={false}
          schemaDescription
          inputValueDeprecation
        >
          <GraphiQL.Logo>{null}</GraphiQL.Logo>
          <GraphiQL.Footer>
            <StreamPanel log={log} />
          </GraphiQL.Footer>
        </GraphiQL>
      </main>
    </>
  );
}
