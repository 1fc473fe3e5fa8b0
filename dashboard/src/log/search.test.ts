import { expect, test } from 'vitest';
import { Lines } from './lines';
import { chosenLines, hitsIn, rangeOf } from './search';

const [RED, RESET] = ['\x1b[31m', '\x1b[0m'];
const STREAMS = ['STDOUT', 'STDERR'] as const;

function make(count: number): Lines {
  const lines = new Lines();
  lines.add(
    Array.from({ length: count }, (_, i) => ({
      sequence: i + 1,
      attempt: i < count / 2 ? 1 : 2,
      stream: STREAMS[i % 2]!,
      text: i % 1000 === 0 ? `${RED}Err${RESET}or at ${i}` : `line ${i}: the quick brown fox jumps over the lazy dog`,
      at: '2026-11-22T17:31:10.123Z',
    })),
  );
  return lines;
}

test('a search of 50,000 lines finds all hits, also across colours', () => {
  const lines = make(50_000);
  const hits = hitsIn(lines, null, 'ERROR AT');
  expect(hits).toHaveLength(50);
  expect(hits[1]).toBe(1001);
});

test('a search takes its text as it is', () => {
  const lines = new Lines();
  lines.add([{ sequence: 1, attempt: 1, stream: 'STDOUT', text: 'a.b (c) [d] $5', at: '' }]);
  for (const text of ['a.b', '(c)', '[d]', '$5']) expect(hitsIn(lines, null, text)).toEqual([1]);
  expect(hitsIn(lines, null, 'axb')).toEqual([]);
});

test('streams and attempts can be chosen', () => {
  const lines = make(10);
  expect(chosenLines(lines, { attempt: null, without: new Set() })).toBeNull();
  expect(chosenLines(lines, { attempt: 2, without: new Set(['STDOUT'] as const) })).toEqual([6, 8, 10]);
});

test('an address names a line or a range', () => {
  expect(rangeOf('#L12')).toEqual({ from: 12, to: 12 });
  expect(rangeOf('L20-L10')).toEqual({ from: 10, to: 20 });
  expect(rangeOf('#key')).toBeNull();
});
