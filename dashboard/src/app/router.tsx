// All routes. Each page is a chunk of its own.
import {
  createRootRoute,
  createRoute,
  createRouter,
  lazyRouteComponent,
  Outlet,
  redirect,
} from '@tanstack/react-router';
import { validCommandSearch, validCommandsSearch } from '../commands/search';
import { validComposeSearch } from '../compose/search';
import { validAuditSearch } from '../audit/search';
import { validCatalogSearch } from '../catalog/search';
import { validJobsSearch } from '../jobs/search';
import { validJobSearch } from '../job/search';
import { validSpan } from '../queues/history';
import { validSchedulesSearch } from '../schedules/search';
import { look, session } from './session';
import { Shell } from './Shell';
import { NotFound } from './NotFound';
import { parseSearch, stringifySearch } from './url';

const root = createRootRoute({ component: Outlet, notFoundComponent: NotFound });

const signIn = createRoute({
  getParentRoute: () => root,
  path: '/sign-in',
  validateSearch: (given: Record<string, unknown>): { to?: string } =>
    // Only a path of our own may be returned to.
    typeof given.to === 'string' && /^\/(?!\/)/.test(given.to) ? { to: given.to } : {},
  component: lazyRouteComponent(() => import('./SignIn'), 'SignIn'),
});

const shell = createRoute({
  getParentRoute: () => root,
  id: 'shell',
  component: Shell,
  beforeLoad: async ({ location }) => {
    if (session.get().state === 'checking') await look();
    if (session.get().state !== 'signed-in') throw redirect({ to: '/sign-in', search: { to: location.href } });
  },
});

const overview = createRoute({
  getParentRoute: () => shell,
  path: '/',
  validateSearch: validSpan,
  component: lazyRouteComponent(() => import('../overview/OverviewPage'), 'OverviewPage'),
});

const jobs = createRoute({
  getParentRoute: () => shell,
  path: '/jobs',
  validateSearch: validJobsSearch,
  component: lazyRouteComponent(() => import('../jobs/JobsPage'), 'JobsPage'),
});

const job = createRoute({
  getParentRoute: () => shell,
  path: '/jobs/$jobId',
  validateSearch: validJobSearch,
  component: lazyRouteComponent(() => import('../job/JobPage'), 'JobPage'),
});

const queues = createRoute({
  getParentRoute: () => shell,
  path: '/queues',
  component: lazyRouteComponent(() => import('../queues/QueuesPage'), 'QueuesPage'),
});

const queue = createRoute({
  getParentRoute: () => shell,
  path: '/queues/$name',
  validateSearch: validSpan,
  component: lazyRouteComponent(() => import('../queues/QueuePage'), 'QueuePage'),
});

const workers = createRoute({
  getParentRoute: () => shell,
  path: '/workers',
  component: lazyRouteComponent(() => import('../workers/WorkersPage'), 'WorkersPage'),
});

const schedules = createRoute({
  getParentRoute: () => shell,
  path: '/schedules',
  validateSearch: validSchedulesSearch,
  component: lazyRouteComponent(() => import('../schedules/SchedulesPage'), 'SchedulesPage'),
});

const compose = createRoute({
  getParentRoute: () => shell,
  path: '/compose',
  validateSearch: validComposeSearch,
  component: lazyRouteComponent(() => import('../compose/ComposePage'), 'ComposePage'),
});

const commands = createRoute({
  getParentRoute: () => shell,
  path: '/commands',
  validateSearch: validCommandsSearch,
  component: lazyRouteComponent(() => import('../commands/CommandsPage'), 'CommandsPage'),
});

const command = createRoute({
  getParentRoute: () => shell,
  path: '/commands/$commandId',
  validateSearch: validCommandSearch,
  component: lazyRouteComponent(() => import('../commands/CommandPage'), 'CommandPage'),
});

const profiles = createRoute({
  getParentRoute: () => shell,
  path: '/profiles',
  validateSearch: validCatalogSearch,
  component: lazyRouteComponent(() => import('../profiles/ProfilesPage'), 'ProfilesPage'),
});

const profile = createRoute({
  getParentRoute: () => shell,
  path: '/profiles/$profileId',
  component: lazyRouteComponent(() => import('../profiles/ProfilePage'), 'ProfilePage'),
});

const services = createRoute({
  getParentRoute: () => shell,
  path: '/services',
  validateSearch: validCatalogSearch,
  component: lazyRouteComponent(() => import('../services/ServicesPage'), 'ServicesPage'),
});

const service = createRoute({
  getParentRoute: () => shell,
  path: '/services/$serviceId',
  component: lazyRouteComponent(() => import('../services/ServicePage'), 'ServicePage'),
});

const proxies = createRoute({
  getParentRoute: () => shell,
  path: '/proxies',
  validateSearch: validCatalogSearch,
  component: lazyRouteComponent(() => import('../proxies/ProxiesPage'), 'ProxiesPage'),
});

const proxy = createRoute({
  getParentRoute: () => shell,
  path: '/proxies/$proxyId',
  component: lazyRouteComponent(() => import('../proxies/ProxyPage'), 'ProxyPage'),
});

const keys = createRoute({
  getParentRoute: () => shell,
  path: '/keys',
  validateSearch: validCatalogSearch,
  component: lazyRouteComponent(() => import('../keys/KeysPage'), 'KeysPage'),
});

const audit = createRoute({
  getParentRoute: () => shell,
  path: '/audit',
  validateSearch: validAuditSearch,
  component: lazyRouteComponent(() => import('../audit/AuditPage'), 'AuditPage'),
});

const settings = createRoute({
  getParentRoute: () => shell,
  path: '/settings',
  component: lazyRouteComponent(() => import('./SettingsPage'), 'SettingsPage'),
});

export const router = createRouter({
  routeTree: root.addChildren([
    signIn,
    shell.addChildren([
      overview,
      jobs,
      job,
      compose,
      commands,
      command,
      profiles,
      profile,
      services,
      service,
      proxies,
      proxy,
      schedules,
      queues,
      queue,
      workers,
      keys,
      audit,
      settings,
    ]),
  ]),
  parseSearch,
  stringifySearch,
  defaultPreload: 'intent',
});

declare module '@tanstack/react-router' {
  interface Register {
    router: typeof router;
  }
}
