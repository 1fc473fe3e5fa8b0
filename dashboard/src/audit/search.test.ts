import { expect, test } from 'vitest';
import { filterOf, validAuditSearch } from './search';

test('an address gives only filters that the API takes', () => {
  const search = validAuditSearch({ actor: ' olga ', outcome: 'MAYBE', from: '2026-11-01', to: 'never', action: '', other: 'x' });
  expect(search).toEqual({ actor: 'olga', from: '2026-11-01T00:00:00.000Z' });
  expect(filterOf(search)).toEqual({ actor: 'olga', at: { gte: '2026-11-01T00:00:00.000Z', lt: null } });
  expect(filterOf({ after: 'x' })).toBe(null);
});
