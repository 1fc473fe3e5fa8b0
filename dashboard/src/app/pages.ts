// The pages, in the order of the navigation. A page has one line here and a route in router.tsx.
import type { IconName } from '../ui/Icon';

export interface Page {
  path:
    | '/'
    | '/audit'
    | '/commands'
    | '/compose'
    | '/jobs'
    | '/keys'
    | '/profiles'
    | '/proxies'
    | '/queues'
    | '/schedules'
    | '/services'
    | '/settings'
    | '/workers';
  name: string;
  icon: IconName;
  /** The letter after `g` that opens it. */
  letter: string;
  /** The query that the role must be allowed. */
  needs?: string;
}

export const PAGES: readonly Page[] = [
  { path: '/', name: 'Overview', icon: 'overview', letter: 'o' },
  { path: '/jobs', name: 'Jobs', icon: 'jobs', letter: 'j' },
  { path: '/compose', name: 'Compose', icon: 'compose', letter: 'c' },
  { path: '/commands', name: 'Commands', icon: 'commands', letter: 'm' },
  { path: '/profiles', name: 'Profiles', icon: 'profiles', letter: 'p' },
  { path: '/services', name: 'Services', icon: 'services', letter: 'v' },
  { path: '/proxies', name: 'Proxies', icon: 'proxies', letter: 'x' },
  { path: '/schedules', name: 'Schedules', icon: 'clock', letter: 's' },
  { path: '/queues', name: 'Queues', icon: 'queues', letter: 'q' },
  { path: '/workers', name: 'Workers', icon: 'workers', letter: 'w' },
  { path: '/keys', name: 'Keys', icon: 'keys', letter: 'k', needs: 'apiKeys' },
  { path: '/audit', name: 'Audit', icon: 'audit', letter: 'a', needs: 'auditEvents' },
  { path: '/settings', name: 'Settings', icon: 'settings', letter: ',' },
];
