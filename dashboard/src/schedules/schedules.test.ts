import { expect, test } from 'vitest';
import type { ScheduleStored } from './documents';
import { createInputOf, emptyForm, formOf, jobInputOf, mistakesOf, updateInputOf } from './form';
import { validSchedulesSearch } from './search';
import { MOST_RUNS, weekdayOf, weekOf } from './week';

const now = Date.parse('2026-11-22T23:30:00Z');

test('runs stand on the day of the chosen zone', () => {
  const runs = [{ id: 's1', name: 'b', upcoming: ['2026-11-23T02:00:00.000Z', '2026-11-24T02:00:00.000Z', '2026-12-24T02:00:00.000Z'] }];
  const inUtc = weekOf(runs, now, 'UTC');
  expect(inUtc.days.map(({ date }) => date)).toEqual(['2026-11-22', '2026-11-23', '2026-11-24', '2026-11-25', '2026-11-26', '2026-11-27', '2026-11-28']);
  expect(inUtc.days.map(({ entries }) => entries.length)).toEqual([0, 1, 1, 0, 0, 0, 0]);
  expect(weekOf(runs, now, 'America/New_York').days.map(({ entries }) => entries.length)).toEqual([1, 1, 0, 0, 0, 0, 0]);
  expect(weekdayOf('2026-11-22')).toBe('Sun');
});

test('many runs of a day are one entry, in the order of their first', () => {
  const hours = Array.from({ length: 5 }, (_, hour) => `2026-11-23T0${hour}:15:00.000Z`);
  const { days, cut } = weekOf([{ id: 's1', name: 'hourly', upcoming: hours }, { id: 's2', name: 'once', upcoming: ['2026-11-23T00:05:00.000Z'] }], now, 'UTC');
  expect(days[1]!.entries.map(({ name, times }) => [name, times.length])).toEqual([['once', 1], ['hourly', 5]]);
  expect(cut).toEqual([]);
});

test('it is said when the API tells only a part of the week', () => {
  const minutes = Array.from({ length: MOST_RUNS }, (_, minute) => new Date(now + minute * 60_000).toISOString());
  expect(weekOf([{ id: 's1', name: 'often', upcoming: minutes }], now, 'UTC').cut).toEqual([{ id: 's1', name: 'often', until: minutes.at(-1) }]);
});

test('errors stand at their fields', () => {
  const mistakes = mistakesOf([
    { path: ['input', 'cron'], message: 'Wrong.' },
    { path: ['input', 'job', 'commandId'], message: 'Gone.' },
    { path: ['input', 'job', 'input', 'shop', 'id'], message: 'Missing.' },
    { path: ['input', 'job', 'policy', 'timeout'], message: 'Too long.' },
    { path: ['input'], message: 'Stale.' },
  ]);
  expect(mistakes).toEqual({ cron: 'Wrong.', command: 'Gone.', input: 'shop.id: Missing.', form: 'Too long. Stale.' });
});

test('what was typed becomes an input, and a mistake quotes nothing', () => {
  const typed = { ...emptyForm('UTC'), name: ' nightly ', cron: '@daily', labels: 'a, b,,a', priority: '9' };
  expect(createInputOf(typed, 'command_1', { a: 1 })).toEqual({
    name: 'nightly', cron: '@daily', timezone: 'UTC', overlap: 'SKIP', catchUp: 'PT0S', job: { commandId: 'command_1', input: { a: 1 }, labels: ['a', 'b'], priority: 9 },
  });
  expect(jobInputOf('  ')).toEqual({ input: {} });
  expect(jobInputOf('{"a": "hush"')).not.toMatchObject({ mistake: expect.stringContaining('hush') });
  expect(jobInputOf('[]')).toHaveProperty('mistake');
});

test('an update has only what was changed, and the version that was read', () => {
  const stored: ScheduleStored = {
    id: 'schedule_1', name: 'nightly', cron: '0 2 * * *', timezone: 'UTC', isPaused: false, overlap: 'SKIP', catchUp: 'PT0S', nextRunAt: null,
    lastRunAt: null, lastFailure: null, version: 3, job: { queue: 'default', priority: 4, command: { id: 'c', name: 'report' }, profile: null },
  };
  expect(updateInputOf(formOf(stored), stored)).toEqual({ id: 'schedule_1', version: 3 });
  expect(updateInputOf({ ...formOf(stored), cron: ' 0 3 * * * ' }, stored)).toEqual({ id: 'schedule_1', version: 3, cron: '0 3 * * *' });
});

test('an address opens the form only of a schedule', () => {
  expect(validSchedulesSearch({ view: 'week', q: 'a', edit: 'schedule_1' })).toEqual({ view: 'week', q: 'a', edit: 'schedule_1' });
  expect(validSchedulesSearch({ view: 'month', q: ' ', edit: 'job_1' })).toEqual({});
});
