// The pages, in the order of the navigation. A page has one line here and a route in router.tsx.
import type { IconName } from '../ui/Icon';

export interface Page {
  path: '/' | '/jobs' | '/queues' | '/workers' | '/schedules' | '/settings';
  path: '/jobs' | '/compose' | '/commands' | '/settings';
  path: '/jobs' | '/profiles' | '/settings';
  path: '/jobs' | '/profiles' | '/services' | '/proxies' | '/settings';
  name: string;
  icon: IconName;
  /** The letter after `g` that opens it. */
  letter: string;
}

export const PAGES: readonly Page[] = [
  { path: '/', name: 'Overview', icon: 'overview', letter: 'o' },
  { path: '/jobs', name: 'Jobs', icon: 'jobs', letter: 'j' },
  { path: '/queues', name: 'Queues', icon: 'queues', letter: 'q' },
  { path: '/workers', name: 'Workers', icon: 'workers', letter: 'w' },
  { path: '/schedules', name: 'Schedules', icon: 'clock', letter: 's' },
  { path: '/compose', name: 'Compose', icon: 'compose', letter: 'c' },
  { path: '/commands', name: 'Commands', icon: 'commands', letter: 'm' },
  { path: '/profiles', name: 'Profiles', icon: 'profiles', letter: 'p' },
  { path: '/services', name: 'Services', icon: 'services', letter: 'v' },
  { path: '/proxies', name: 'Proxies', icon: 'proxies', letter: 'x' },
  { path: '/settings', name: 'Settings', icon: 'settings', letter: ',' },
];
