import { expect, test } from 'vitest';
import { CHUNK, Lines, MOST, wordsOf } from './lines';

const line = (sequence: number) =>
  ({ sequence, attempt: 1, stream: 'STDOUT' as const, text: `line ${sequence}`, at: '2026-11-22T17:31:10.123Z' });
const range = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, i) => line(from + i));

test('a whole log is proven whole', () => {
  const lines = new Lines();
  lines.add(range(1, 2500));
  lines.liveFrom = 1;
  expect(lines.proof()).toMatchObject({ from: 1, to: 2500, received: 2500, missing: 0, unread: 0 });
  expect(wordsOf(lines.proof())).toBe('1 to 2,500, 0 missing');
  expect(lines.gaps()).toEqual([]);
});

test('what has not been asked for is unread, and is read chunk by chunk from the end', () => {
  const lines = new Lines();
  lines.add(range(4501, 5500));
  lines.liveFrom = 4501;
  expect(lines.proof()).toMatchObject({ missing: 0, unread: 4500, received: 1000 });
  expect(lines.gaps()).toEqual([4, 3, 2, 1, 0]);
  for (const index of lines.gaps()) {
    lines.add(range(index * CHUNK + 1, (index + 1) * CHUNK));
    lines.answer(index, (index + 1) * CHUNK);
  }
  expect(lines.proof()).toMatchObject({ from: 1, to: 5500, received: 5500, missing: 0, unread: 0 });
});

test('a hole between live lines, and one in an answer, are missing', () => {
  const lines = new Lines();
  lines.add([...range(1001, 1100), ...range(1103, 1200)]);
  lines.liveFrom = 1001;
  expect(lines.proof().missing).toBe(2);
  lines.add(range(1, 999));
  lines.answer(0, 1000);
  expect(lines.proof()).toMatchObject({ missing: 3, unread: 0 });
  lines.add([line(1000), line(1101), line(1102)]);
  expect(lines.proof().missing).toBe(0);
});

test('lines that the server has dropped are not missing, and a repeated line counts once', () => {
  const lines = new Lines();
  lines.liveFrom = 1;
  lines.add(range(1, 10));
  expect(lines.add(range(5, 10))).toBe(0);
  lines.drop(11, 20);
  lines.add(range(21, 30));
  expect(lines.proof()).toMatchObject({ received: 20, dropped: 10, missing: 0 });
  const later = new Lines();
  later.beginAt(101);
  later.liveFrom = 101;
  later.add(range(101, 200));
  expect(later.proof()).toMatchObject({ from: 101, to: 200, received: 100, missing: 0, unread: 0 });
});

test('above the bound the oldest lines are let go, which is said', () => {
  const lines = new Lines();
  lines.liveFrom = 1;
  for (let from = 1; from <= MOST + 5000; from += CHUNK) lines.add(range(from, from + CHUNK - 1));
  expect(lines.get(4000)).toBeUndefined();
  expect(lines.proof()).toMatchObject({ from: 5001, received: MOST, missing: 0, letGo: 5000 });
  expect(wordsOf(lines.proof())).toContain('only the newest 200,000 are kept');
});
