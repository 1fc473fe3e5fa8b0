// The pages, in the order of the navigation. A page has one line here and a route in router.tsx.
import type { IconName } from '../ui/Icon';

export interface Page {
  path: '/jobs' | '/settings';
  name: string;
  icon: IconName;
  /** The letter after `g` that opens it. */
  letter: string;
}

export const PAGES: readonly Page[] = [
  { path: '/jobs', name: 'Jobs', icon: 'jobs', letter: 'j' },
  { path: '/settings', name: 'Settings', icon: 'settings', letter: ',' },
];
