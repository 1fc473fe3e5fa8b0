import { expect, test } from 'vitest';
import { plainOf, spansOf, type Style } from './ansi';
import { contrast, cssOf, DARK_GROUND, LIGHT_GROUND, readable } from './contrast';

const esc = (codes: string) => `\x1b[${codes}m`;

test('a line without control characters is one span', () => {
  expect(spansOf('plain text\twith a tab')).toEqual([{ text: 'plain text\twith a tab', style: null }]);
});

test('SGR sequences make spans', () => {
  const spans = spansOf(`a${esc('31;1')}b${esc('0')}c${esc('38;5;196')}d${esc('48;2;1;2;3')}e${esc('')}f`);
  expect(spans.map(({ text }) => text)).toEqual(['a', 'b', 'c', 'd', 'e', 'f']);
  expect(spans.map(({ style }) => style?.fg ?? null)).toEqual([null, [205, 49, 49], null, [255, 0, 0], [255, 0, 0], null]);
  expect(spans[4]!.style!.bg).toEqual([1, 2, 3]);
  expect(spans[1]!.style!.bold).toBe(true);
});

test('a carriage return writes over the line, and K erases', () => {
  expect(plainOf('  5 %\r 50 %\r100 %')).toBe('100 %');
  expect(plainOf('a longer line\rshort')).toBe('shortger line');
  expect(plainOf('a longer line\r\x1b[Kshort')).toBe('short');
  expect(plainOf('abc\b\bX')).toBe('aXc');
});

test('other sequences and broken ones leave no trace', () => {
  expect(plainOf('\x1b]0;title\x07a\x1b[2Jb\x1b[?25lc\x1b')).toBe('abc');
  expect(plainOf(`${esc('999;38;5')}x`)).toBe('x');
  expect(plainOf('\x1b[31mé😀\x1b[0m')).toBe('é😀');
});

test('every colour of the palette can be read in both themes', () => {
  for (let index = 0; index < 256; index += 1) {
    const colour = spansOf(`${esc(`38;5;${index}`)}x`)[0]!.style!.fg!;
    for (const ground of [LIGHT_GROUND, DARK_GROUND]) expect(contrast(readable(colour, ground), ground)).toBeGreaterThan(4.5);
  }
});

test('a coloured piece has a style for both themes', () => {
  const style = spansOf(`${esc('33')}x`)[0]!.style as Style;
  expect(cssOf(style).color).toMatch(/^light-dark\(rgb\(.*\), rgb\(.*\)\)$/);
});
