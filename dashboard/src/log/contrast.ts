// Makes colours of programs readable on our grounds: a colour is moved towards black or white until
// its contrast is that of WCAG AA.
import type { CSSProperties } from 'react';
import type { Style } from './ansi';

type Rgb = readonly [number, number, number];

export const LIGHT_GROUND: Rgb = [255, 255, 255];
export const DARK_GROUND: Rgb = [22, 26, 34];
const LIGHT_INK: Rgb = [27, 33, 48];
const DARK_INK: Rgb = [229, 233, 241];
/** A little more than is needed, because a hovered or a marked line has another ground. */
const ENOUGH = 5.3;

function luminance([red, green, blue]: Rgb): number {
  const part = (value: number) => {
    const share = value / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  };
  return 0.2126 * part(red) + 0.7152 * part(green) + 0.0722 * part(blue);
}

export function contrast(one: Rgb, other: Rgb): number {
  const [low = 0, high = 0] = [luminance(one), luminance(other)].sort((a, b) => a - b);
  return (high + 0.05) / (low + 0.05);
}

/** The colour nearest to this one that can be read on the ground. */
export function readable(colour: Rgb, ground: Rgb): Rgb {
  const end = luminance(ground) > 0.18 ? 0 : 255;
  let found = colour;
  for (let step = 1; step <= 20 && contrast(found, ground) < ENOUGH; step += 1) {
    const share = step / 20;
    const [red, green, blue] = colour.map((part) => Math.round(part + (end - part) * share));
    found = [red!, green!, blue!];
  }
  return found;
}

const css = ([red, green, blue]: Rgb) => `rgb(${red} ${green} ${blue})`;

function colours(style: Style, ground: Rgb, ink: Rgb): { fg: Rgb; bg: Rgb | null } {
  const [fg, bg] = style.inverse ? [style.bg ?? ground, style.fg ?? ink] : [style.fg, style.bg];
  return { fg: readable(fg ?? ink, bg ?? ground), bg };
}

const known = new Map<string, CSSProperties>();

/** The style of a piece of a line, for both themes. */
export function cssOf(style: Style): CSSProperties {
  const key = JSON.stringify(style);
  let found = known.get(key);
  if (!found) {
    const light = colours(style, LIGHT_GROUND, LIGHT_INK);
    const dark = colours(style, DARK_GROUND, DARK_INK);
    const lines = [style.underline && 'underline', style.strike && 'line-through'].filter(Boolean).join(' ');
    found = {
      color: style.fg || style.bg || style.inverse ? `light-dark(${css(light.fg)}, ${css(dark.fg)})` : style.dim ? 'var(--ink-soft)' : undefined,
      backgroundColor: light.bg && dark.bg ? `light-dark(${css(light.bg)}, ${css(dark.bg)})` : undefined,
      fontWeight: style.bold ? 700 : undefined,
      fontStyle: style.italic ? 'italic' : undefined,
      textDecoration: lines || undefined,
    };
    if (known.size > 2000) known.clear();
    known.set(key, found);
  }
  return found;
}
