// The pages that the role may open.
import { PAGES, type Page } from './pages';
import { useSession } from './session';

export function usePages(): readonly Page[] {
  const session = useSession();
  const can = session.state === 'signed-in' ? session.can : [];
  return PAGES.filter(({ needs }) => !needs || can.includes(needs));
}
