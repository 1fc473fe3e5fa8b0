// Colours of terminals: SGR sequences and carriage returns of one line of a log. Other sequences
// are left out.

type Rgb = readonly [number, number, number];

export interface Style {
  fg: Rgb | null;
  bg: Rgb | null;
  bold: boolean;
  dim: boolean;
  italic: boolean;
  underline: boolean;
  strike: boolean;
  inverse: boolean;
}

export interface Span {
  text: string;
  style: Style | null;
}

const PLAIN: Style = { fg: null, bg: null, bold: false, dim: false, italic: false, underline: false, strike: false, inverse: false };

/** The sixteen named colours, as many terminals have them. */
const NAMED: readonly Rgb[] = [
  [0, 0, 0], [205, 49, 49], [13, 188, 121], [190, 160, 16], [36, 114, 200], [188, 63, 188], [17, 168, 205], [204, 204, 204],
  [102, 102, 102], [241, 76, 76], [35, 209, 139], [245, 245, 67], [59, 142, 234], [214, 112, 214], [41, 184, 219], [242, 242, 242],
];
const STEPS = [0, 95, 135, 175, 215, 255] as const;

function paletteColour(index: number): Rgb | null {
  if (!Number.isInteger(index) || index < 0 || index > 255) return null;
  if (index < 16) return NAMED[index]!;
  if (index >= 232) {
    const grey = 8 + (index - 232) * 10;
    return [grey, grey, grey];
  }
  const cube = index - 16;
  return [STEPS[Math.floor(cube / 36)]!, STEPS[Math.floor(cube / 6) % 6]!, STEPS[cube % 6]!];
}

/** The colour that stands after 38 or 48, and how many numbers it took. */
function extended(codes: readonly number[], at: number): { colour: Rgb | null; used: number } {
  if (codes[at] === 5) return { colour: paletteColour(codes[at + 1] ?? -1), used: 2 };
  if (codes[at] !== 2) return { colour: null, used: 1 };
  const [red = 0, green = 0, blue = 0] = codes.slice(at + 1, at + 4).map((part) => Math.min(255, part));
  return { colour: [red, green, blue], used: 4 };
}

const FLAGS: Record<number, Partial<Style>> = {
  1: { bold: true }, 2: { dim: true }, 3: { italic: true }, 4: { underline: true }, 7: { inverse: true }, 9: { strike: true },
  22: { bold: false, dim: false }, 23: { italic: false }, 24: { underline: false }, 27: { inverse: false }, 29: { strike: false },
  39: { fg: null }, 49: { bg: null },
};

function styled(before: Style, codes: readonly number[]): Style {
  let style = before;
  for (let at = 0; at < codes.length; at += 1) {
    const code = codes[at]!;
    if (code === 0) style = PLAIN;
    else if (FLAGS[code]) style = { ...style, ...FLAGS[code] };
    else if (code >= 30 && code <= 37) style = { ...style, fg: NAMED[code - 30]! };
    else if (code >= 90 && code <= 97) style = { ...style, fg: NAMED[code - 82]! };
    else if (code >= 40 && code <= 47) style = { ...style, bg: NAMED[code - 40]! };
    else if (code >= 100 && code <= 107) style = { ...style, bg: NAMED[code - 92]! };
    else if (code === 38 || code === 48) {
      const { colour, used } = extended(codes, at + 1);
      style = code === 38 ? { ...style, fg: colour } : { ...style, bg: colour };
      at += used;
    }
  }
  return style;
}

// A sequence of CSI, an operating system command, another escape, or a character.
const PIECE = /\x1b\[([0-9:;<=>?]*)[ -/]*([@-~])|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?|\x1b.?|[\s\S]/gu;
const CONTROL = /[\x00-\x08\x0b-\x1f\x7f]/;

/** Returns what a terminal would show of a line, in pieces of one style each. */
export function spansOf(text: string): Span[] {
  if (!CONTROL.test(text)) return [{ text, style: null }];
  const cells: { text: string; style: Style }[] = [];
  let style = PLAIN;
  let column = 0;
  for (const [piece, codes, kind] of text.matchAll(PIECE)) {
    if (kind === 'm') style = styled(style, (codes || '0').split(/[;:]/).map(Number));
    else if (kind === 'K') erase(cells, column, Number(codes || 0));
    else if (piece === '\r') column = 0;
    else if (piece === '\b') column = Math.max(0, column - 1);
    else if (kind === undefined && !CONTROL.test(piece)) {
      cells[column] = { text: piece, style };
      column += 1;
    }
  }
  const spans: Span[] = [];
  for (const cell of cells) {
    const last = spans.at(-1);
    const own = cell.style === PLAIN ? null : cell.style;
    if (last && last.style === own) last.text += cell.text;
    else spans.push({ text: cell.text, style: own });
  }
  return spans;
}

/** Erases from the column on (0), up to it (1), or the whole line (2). */
function erase(cells: { text: string; style: Style }[], column: number, what: number): void {
  if (what !== 1) cells.length = Math.min(cells.length, column);
  if (what === 0) return;
  for (let at = 0; at < Math.min(column, cells.length); at += 1) cells[at] = { text: ' ', style: PLAIN };
  if (what === 2) while (cells.length < column) cells.push({ text: ' ', style: PLAIN });
}

/** Returns the text that a terminal would show of a line. */
export function plainOf(text: string): string {
  return CONTROL.test(text) ? spansOf(text).map((span) => span.text).join('') : text;
}
