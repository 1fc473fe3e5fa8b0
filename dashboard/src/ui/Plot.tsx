// The canvas of a chart. A chunk of its own, because it brings uPlot with it.
import 'uplot/dist/uPlot.min.css';
import { useEffect, useRef, useState } from 'react';
import uPlot from 'uplot';
import { settings } from '../app/settings';
import type { Line } from './Chart';
import { useStore } from './store';
import { dateTime } from './time';
import { useZone } from './Time';

const HEIGHT = 168;
const DAY = 86_400;
const DASHES: Record<NonNullable<Line['dash']>, number[]> = { long: [8, 4], short: [2, 3] };
/** Steps of an axis that counts. */
const WHOLE = [1, 2, 5].flatMap((one) => Array.from({ length: 9 }, (_, power) => one * 10 ** power)).sort((a, b) => a - b);
/** Steps of an axis of lengths of time, in seconds. */
const SECONDS = [0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, ...[1, 2, 5, 10, 15, 30].map((minutes) => minutes * 60), ...[1, 2, 6, 12, 24, 48, 96, 192].map((hours) => hours * 3600)];

interface Props {
  /** Unix times in seconds. */
  times: readonly number[];
  lines: readonly Line[];
  write(value: number): string;
  onHover(index: number | null): void;
}

/** A canvas takes no variables of CSS, so they are resolved first. */
function colourOf(host: HTMLElement, token: string): string {
  const probe = document.createElement('span');
  probe.style.color = `var(${token})`;
  host.append(probe);
  const { color } = getComputedStyle(probe);
  probe.remove();
  return color;
}

/** Changes when the theme does. */
function useTheme(): string {
  const { theme } = useStore(settings);
  const [isDark, setDark] = useState(() => matchMedia('(prefers-color-scheme: dark)').matches);
  useEffect(() => {
    const query = matchMedia('(prefers-color-scheme: dark)');
    const onChange = () => setDark(query.matches);
    query.addEventListener('change', onChange);
    return () => query.removeEventListener('change', onChange);
  }, []);
  return `${theme} ${isDark}`;
}

function labelsOf(splits: readonly number[], zone: string | undefined): string[] {
  const isLong = (splits.at(-1) ?? 0) - (splits[0] ?? 0) > 2 * DAY;
  return splits.map((at) => {
    const text = dateTime(at * 1000, zone);
    return isLong || text.slice(11, 16) === '00:00' ? text.slice(5, 10) : text.slice(11, 16);
  });
}

const dataOf = (times: readonly number[], lines: readonly Line[]): uPlot.AlignedData => [
  [...times],
  ...lines.map(({ values }) => [...values]),
];

export function Plot({ times, lines, write, onHover }: Props) {
  const host = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const zone = useZone();
  const theme = useTheme();
  const latest = useRef({ times, lines, write, onHover });
  latest.current = { times, lines, write, onHover };
  const look = lines.map(({ name, colour, dash }) => `${name} ${colour} ${dash ?? ''}`).join();
  useEffect(() => {
    const place = host.current!;
    const colour = (token: string) => colourOf(place, token);
    const axis: uPlot.Axis = {
      stroke: colour('--ink-soft'),
      grid: { stroke: colour('--line'), width: 1 },
      ticks: { show: false },
      font: `12px ${getComputedStyle(place).fontFamily}`,
    };
    const isWhole = latest.current.lines.every(({ isWhole }) => isWhole);
    const made = new uPlot(
      {
        width: Math.max(120, place.clientWidth),
        height: HEIGHT,
        legend: { show: false },
        cursor: { y: false, drag: { x: false, y: false }, points: { size: 7 } },
        tzDate: (at) => (zone === undefined ? new Date(at * 1000) : uPlot.tzDate(new Date(at * 1000), zone)),
        scales: { y: { range: (_, __, most) => [0, Math.max(1, most * 1.08)] } },
        axes: [
          { ...axis, size: 28, values: (_, splits) => labelsOf(splits, zone) },
          {
            ...axis,
            size: (_, labels) => 20 + 7 * Math.max(0, ...(labels ?? []).map(({ length }) => length)),
            values: (_, splits) => splits.map((split) => latest.current.write(split)),
            incrs: isWhole ? WHOLE : SECONDS,
          },
        ],
        series: [
          {},
          ...latest.current.lines.map(({ name, colour: token, dash, isFilled }) => ({
            label: name,
            stroke: colour(token),
            width: 2,
            points: { show: false },
            ...(dash ? { dash: DASHES[dash] } : {}),
            ...(isFilled ? { fill: colour('--selected') } : {}),
          })),
        ],
        hooks: { setCursor: [({ cursor }) => latest.current.onHover(cursor.idx ?? null)] },
      },
      dataOf(latest.current.times, latest.current.lines),
      place,
    );
    plot.current = made;
    const sizes = new ResizeObserver(() => made.setSize({ width: Math.max(120, place.clientWidth), height: HEIGHT }));
    sizes.observe(place);
    return () => {
      sizes.disconnect();
      made.destroy();
      plot.current = null;
    };
    // Made anew only for another look. What it shows is set below.
  }, [look, theme, zone]);
  useEffect(() => plot.current?.setData(dataOf(times, lines)), [times, lines]);
  return <div ref={host} className="plot" />;
}
