import { expect, test } from 'vitest';
import { draftOf } from '../form/draft';
import { POLICY } from '../compose/specs';
import type { CommandOfPage } from './documents';
import { changesOf, conflictsOf, fieldsOf, formOf } from './edit';

const COMMAND: CommandOfPage = {
  id: 'command_1', name: 'orders', kind: 'PROGRAM', description: null, inputSchema: {}, isPrivate: false, queue: 'default', version: 3,
  createdAt: '2026-01-01T00:00:00.000Z', updatedAt: '2026-01-01T00:00:00.000Z', profile: { id: 'profile_1', name: 'p' }, proxy: null, services: [],
  policy: {
    maxAttempts: 3, timeout: 'PT5M', grace: 'PT5S', expiresAfter: null, maxConcurrency: 2,
    backoff: { strategy: 'EXPONENTIAL', initial: 'PT10S', max: 'PT1H', jitter: 0.2 }, rateLimits: [], caps: [],
  },
  usage: [], consumption: { today: { attempts: 0, busy: 'PT0S' }, thisMonth: { attempts: 0, busy: 'PT0S' } },
  spec: { __typename: 'ProgramSpec', program: '/bin/echo', arguments: ['', 'two\nlines'], environment: { A: '' }, stdin: null, tokens: [] },
};

test('an unchanged form changes nothing', () => {
  expect(changesOf(formOf(COMMAND), formOf(COMMAND))).toEqual({});
  expect(fieldsOf(formOf(COMMAND)).spec).toEqual({ program: { program: '/bin/echo', arguments: ['', 'two\nlines'], environment: { A: '' } } });
});

test('only what was changed is sent, and a limit that is left out is null', () => {
  const before = formOf(COMMAND);
  const policy = draftOf(POLICY, POLICY, { maxAttempts: 5, timeout: 'PT5M', grace: 'PT5S', backoff: { strategy: 'EXPONENTIAL', initial: 'PT10S', max: 'PT2H', jitter: 0.2 } });
  const after = { ...before, description: 'new', chosen: { ...before.chosen, profileId: undefined }, plan: { ...before.plan, policy } };
  expect(changesOf(before, after)).toEqual({
    description: 'new',
    profileId: null,
    policy: { maxAttempts: 5, maxConcurrency: null, backoff: { max: 'PT2H' } },
  });
});

test('a page that fills the window stays so', () => {
  const spec = { __typename: 'PlaywrightSpec' as const, script: 'x', headless: false, screenshot: 'OFF' as const, trace: 'OFF' as const, video: 'ALWAYS' as const, viewport: null, tokens: ['*'] };
  expect(fieldsOf(formOf({ ...COMMAND, spec })).spec).toEqual({ playwright: { script: 'x', headless: false, screenshot: 'OFF', trace: 'OFF', video: 'ALWAYS', viewport: null, tokens: ['*'] } });
});

test('a conflict shows both sides of what differs', () => {
  const mine = { ...formOf(COMMAND), name: 'mine' };
  expect(conflictsOf(mine, formOf({ ...COMMAND, name: 'theirs', version: 4 }))).toEqual([{ field: 'name', mine: 'mine', stored: 'theirs' }]);
});
