import { useCallback, useEffect, useMemo, useRef, useState } from 'react';
import { GraphiQL } from 'graphiql';
import { createFetcher } from './fetcher';
import type { Given } from './given';
import { Header } from './Header';
import { takeKeyFromFragment } from '../shared/key';
import { rolelessFields } from './permissions';
import { signIn, signOut, whoAmI, type Session } from '../shared/session';
import { storage } from './storage';
import { StreamLog, StreamPanel } from './StreamPanel';
import type { defaultTabs } from './tabs';

/** What a tab tells the others: the cookie is shared by all tabs of a browser. */
type Told = 'signed-in' | 'signed-out';

const ENDED = 'Your session has ended. Sign in again.';
const ENDED_ELSEWHERE = 'You signed out in another tab.';

/** The session after another look. One that is gone has ended, if there was one. */
function after(before: Session, found: Session, reason: string): Session {
  if (found.state !== 'anonymous') return found;
  if (before.state === 'signed-in') return { state: 'ended', reason };
  return before.state === 'ended' || before.state === 'refused' ? before : found;
}

function useSession(first: Session | null) {
  const [session, setSession] = useState<Session>(first ?? { state: 'checking' });
  // Counts sign-ins and sign-outs, each of which may show another schema, and takes away what the
  // person before has got.
  const [turn, setTurn] = useState(0);
  const [hasLeft, setLeft] = useState(false);
  const channel = useMemo(() => new BroadcastChannel('callboard.session'), []);
  const settle = useCallback((found: Session) => {
    setSession(found);
    setTurn((before) => before + 1);
  }, []);
  const enter = useCallback(
    async (key: string) => {
      setSession({ state: 'checking' });
      const found = await signIn(key);
      if (found.state !== 'signed-in') return setSession(found);
      setLeft(false);
      settle(found);
      channel.postMessage('signed-in' satisfies Told);
    },
    [settle, channel],
  );
  const leave = useCallback(async () => {
    await signOut().catch(() => undefined);
    const found = await whoAmI(AbortSignal.timeout(10_000));
    setLeft(true);
    settle(found);
    if (found.state === 'anonymous') channel.postMessage('signed-out' satisfies Told);
  }, [settle, channel]);
  /** Looks again, because an operation was refused for this reason, or some time has passed. */
  const look = useCallback(async (reason = ENDED) => {
    const found = await whoAmI(AbortSignal.timeout(10_000));
    setSession((before) => after(before, found, reason));
  }, []);
  useEffect(() => {
    if (!first) void look();
    // A session can end and a server can come back, so check again whenever the page is shown.
    const onVisible = () => document.visibilityState === 'visible' && void look();
    const onHash = () => {
      const given = takeKeyFromFragment();
      if (given) void enter(given);
    };
    const onTold = async ({ data }: MessageEvent<Told>) => {
      const found = await whoAmI(AbortSignal.timeout(10_000));
      const isOver = data === 'signed-out' && found.state === 'anonymous';
      settle(isOver ? { state: 'ended', reason: ENDED_ELSEWHERE } : found);
    };
    document.addEventListener('visibilitychange', onVisible);
    addEventListener('hashchange', onHash);
    channel.addEventListener('message', onTold);
    return () => {
      document.removeEventListener('visibilitychange', onVisible);
      removeEventListener('hashchange', onHash);
      channel.removeEventListener('message', onTold);
    };
  }, [first, enter, look, settle, channel]);
  return { session, turn, hasLeft, enter, leave, look };
}

interface Props {
  first: Session | null;
  tabs: ReturnType<typeof defaultTabs>;
  given: Given | null;
}

export function App({ first, tabs, given }: Props) {
  const { session, turn, hasLeft, enter, leave, look } = useSession(first);
  const isSignedIn = session.state === 'signed-in';
  // Of another session neither answers nor messages are left. A new fetcher makes GraphiQL read the
  // schema again.
  const log = useMemo(() => new StreamLog(), [turn]);
  const fetcher = useMemo(() => createFetcher(log, look), [log, look]);
  const [query, setQuery] = useState('');
  // GraphiQL tells of every edit too. The end of a stream belongs to the tab that ran it.
  const shownTab = useRef<string | null>(null);
  const onTabChange = useCallback(
    ({ tabs: all, activeTabIndex }: { tabs: { id: string; query: string | null }[]; activeTabIndex: number }) => {
      const shown = all[activeTabIndex];
      if (shown?.id !== shownTab.current) log.clear();
      shownTab.current = shown?.id ?? null;
      setQuery(shown?.query ?? '');
    },
    [log],
  );
  const forbidden = isSignedIn ? rolelessFields(query, session.can) : [];
  return (
    <>
      <Header session={session} hasLeft={hasLeft} onKey={enter} onSignOut={leave} />
      {isSignedIn && forbidden.length > 0 && (
        <p className="notice" role="note">
          {`The role ${session.role} may not use ${forbidden.join(', ')}. Sign in with a key of a higher role to run this tab.`}
        </p>
      )}
      <main>
        <GraphiQL
          key={turn}
          fetcher={fetcher}
          storage={storage}
          defaultTabs={tabs}
          initialQuery={given?.query}
          initialVariables={given?.variables}
          onTabChange={onTabChange}
          onEditQuery={setQuery}
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
