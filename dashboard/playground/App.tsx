import { useCallback, useEffect, useMemo, useRef, useState } from 'react';
import { GraphiQL } from 'graphiql';
import { createFetcher } from './fetcher';
import { Header } from './Header';
import { takeKeyFromFragment } from './key';
import { signIn, signOut, whoAmI, type Session } from './session';
import { storage } from './storage';
import { StreamLog, StreamPanel } from './StreamPanel';
import type { defaultTabs } from './tabs';

function useSession(first: Session | null) {
  const [session, setSession] = useState<Session>(first ?? { state: 'checking' });
  // Counts sign-ins and sign-outs, each of which may show another schema.
  const [turn, setTurn] = useState(0);
  const settle = useCallback((found: Session) => {
    setSession(found);
    setTurn((before) => before + 1);
  }, []);
  const enter = useCallback(
    async (key: string) => {
      setSession({ state: 'checking' });
      settle(await signIn(key));
    },
    [settle],
  );
  const leave = useCallback(async () => {
    await signOut().catch(() => undefined);
    settle(await whoAmI(AbortSignal.timeout(10_000)));
  }, [settle]);
  useEffect(() => {
    const abort = new AbortController();
    const look = async () => {
      const found = await whoAmI(abort.signal);
      if (!abort.signal.aborted) setSession(found);
    };
    if (!first) void look();
    // A session can end and a server can come back, so check again whenever the page is shown.
    const onVisible = () => document.visibilityState === 'visible' && void look();
    const onHash = () => {
      const given = takeKeyFromFragment();
      if (given) void enter(given);
    };
    document.addEventListener('visibilitychange', onVisible);
    addEventListener('hashchange', onHash);
    return () => {
      abort.abort();
      document.removeEventListener('visibilitychange', onVisible);
      removeEventListener('hashchange', onHash);
    };
  }, [first, enter]);
  return { session, turn, enter, leave };
}

export function App({ first, tabs }: { first: Session | null; tabs: ReturnType<typeof defaultTabs> }) {
  const { session, turn, enter, leave } = useSession(first);
  const log = useMemo(() => new StreamLog(), []);
  // A new fetcher makes GraphiQL read the schema again, which a new session requires.
  const fetcher = useMemo(() => createFetcher(log), [log, turn]);
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
      <Header session={session} onKey={enter} onSignOut={leave} />
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
