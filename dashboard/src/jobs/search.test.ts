import { expect, test } from 'vitest';
import { parseSearch, stringifySearch } from '../app/url';
import { chipsOf, filterOf, orderOf, validJobsSearch, wordsOf } from './search';

const full = {
  state: ['FAILED', 'CANCELLED'],
  command: ['command_1'],
  label: ['a&b', 'c, d'],
  q: 'import',
  from: '2026-11-01T00:00:00.000Z',
  order: 'finished',
};

test('an address holds every filter and the order', () => {
  const search = validJobsSearch(parseSearch(stringifySearch(full)));
  expect(search).toEqual(full);
  expect(filterOf(search)).toEqual({
    states: ['FAILED', 'CANCELLED'],
    commandIds: ['command_1'],
    labels: ['a&b', 'c, d'],
    search: 'import',
    createdAt: { gte: '2026-11-01T00:00:00.000Z', lt: null },
  });
  expect(orderOf(search)).toEqual({ field: 'FINISHED_AT', direction: 'DESC' });
});

test('what is no filter is left out', () => {
  const search = validJobsSearch({ state: ['FAILED', 'NOTHING'], order: 'sideways', from: 'soon', q: '  ', other: 'x' });
  expect(search).toEqual({ state: ['FAILED'] });
  expect(filterOf(validJobsSearch({}))).toBeNull();
});

test('a chip can be taken away, and all filters are said in words', () => {
  const search = validJobsSearch(full);
  const chips = chipsOf(search, (id) => `name of ${id}`);
  expect(chips.map(({ label, value }) => `${label} ${value}`)).toEqual([
    'Command name of command_1', 'Label a&b', 'Label c, d', 'Created from 2026-11-01T00:00:00.000Z',
  ]);
  expect(filterOf(chips[1]!.without)?.labels).toEqual(['c, d']);
  expect(filterOf(chips[0]!.without)?.commandIds).toBeUndefined();
  expect(wordsOf(search, (id) => id)[0]).toBe('State: failed or cancelled');
});
