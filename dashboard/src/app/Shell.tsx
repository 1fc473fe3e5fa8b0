// What stands around every page: the navigation, the bar above, the palette, and help.
import { Dialog } from '@base-ui/react/dialog';
import { Outlet, useRouter } from '@tanstack/react-router';
import { lazy, Suspense, useEffect, useState } from 'react';
import { Icon } from '../ui/Icon';
import { useKeys } from '../ui/keys';
import { Toast } from '../ui/Toast';
import { Badge } from './Badge';
import { Brand } from './Brand';
import { Help } from './Help';
import { Nav } from './Nav';
import { leave, useSession } from './session';
import { usePages } from './usePages';

const Palette = lazy(() => import('./Palette').then(({ Palette }) => ({ default: Palette })));

type Opened = 'nav' | 'palette' | 'help' | null;

export function Shell() {
  const router = useRouter();
  const session = useSession();
  const pages = usePages();
  const [opened, setOpened] = useState<Opened>(null);
  const close = (isOpen: boolean) => isOpen || setOpened(null);
  useEffect(() => {
    if (session.state === 'signed-in' || session.state === 'checking') return;
    const { href, pathname } = router.latestLocation;
    if (pathname !== '/sign-in') void router.navigate({ to: '/sign-in', search: { to: href } });
  }, [session, router]);
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      if (event.key.toLowerCase() !== 'k' || !(event.ctrlKey || event.metaKey)) return;
      event.preventDefault();
      setOpened((before) => (before === 'palette' ? null : 'palette'));
    };
    addEventListener('keydown', onKey);
    return () => removeEventListener('keydown', onKey);
  }, []);
  useKeys({
    '?': () => setOpened('help'),
    c: () => void router.navigate({ to: '/compose' }),
    ...Object.fromEntries(pages.map(({ path, letter }) => [`g ${letter}`, () => void router.navigate({ to: path })])),
  });
  if (session.state !== 'signed-in') return null;
  return (
    // Another person gets another socket, and so a new page with streams of its own.
    <div className="shell" key={session.name}>
      <a className="skip" href="#main">
        Skip to the page
      </a>
      <aside className="side">
        <a href="/" className="side-brand" onClick={(event) => (event.preventDefault(), void router.navigate({ to: '/' }))}>
          <Brand />
        </a>
        <Nav />
        <button type="button" className="quiet side-foot" onClick={() => setOpened('help')}>
          Keys <kbd>?</kbd>
        </button>
      </aside>
      <header className="top">
        <button type="button" className="quiet only-narrow" aria-label="Menu" onClick={() => setOpened('nav')}>
          <Icon name="menu" />
        </button>
        <button type="button" className="top-search" onClick={() => setOpened('palette')}>
          <Icon name="search" />
          <span className="top-search-text">Go to a page, a job or an id</span>
          <kbd className="only-wide">Ctrl K</kbd>
        </button>
        <span className="top-space" />
        <Badge />
        <span className="chip" title={`Signed in as ${session.name}`}>
          <span className="only-wide chip-soft">{session.name}</span>
          {session.role}
        </span>
        <button type="button" className="quiet" onClick={() => void leave()} aria-label="Sign out" title="Sign out">
          <Icon name="out" />
        </button>
      </header>
      <main id="main" className="main" tabIndex={-1}>
        <Outlet />
      </main>
      <Dialog.Root open={opened === 'nav'} onOpenChange={close}>
        <Dialog.Portal>
          <Dialog.Backdrop className="backdrop" />
          <Dialog.Popup className="drawer">
            <Dialog.Title className="hidden">Menu</Dialog.Title>
            <Brand />
            <Nav onChosen={() => setOpened(null)} />
          </Dialog.Popup>
        </Dialog.Portal>
      </Dialog.Root>
      {opened === 'palette' && (
        <Suspense>
          <Palette onClose={() => setOpened(null)} onHelp={() => setOpened('help')} />
        </Suspense>
      )}
      <Help isOpen={opened === 'help'} onOpenChange={close} />
      <Toast />
    </div>
  );
}
