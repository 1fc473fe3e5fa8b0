// One line of a log: its number, its time, and its text with colours and hits.
import { memo, type ReactNode } from 'react';
import { fineTime, exact } from '../ui/time';
import { plainOf, spansOf } from './ansi';
import { cssOf } from './contrast';
import type { Line } from './documents';
import { patternOf } from './search';

/** Where hits begin and end in the text that is shown. */
function hitRanges(text: string, search: string): [number, number][] {
  const pattern = patternOf(search);
  if (!pattern) return [];
  return [...plainOf(text).matchAll(pattern)].slice(0, 200).map((found) => [found.index, found.index + found[0].length]);
}

/** The text in pieces of one style, and of one hit or none. */
function pieces(text: string, search: string, isCurrent: boolean): ReactNode[] {
  const ranges = hitRanges(text, search);
  const shown: ReactNode[] = [];
  let begin = 0;
  for (const { text: part, style } of spansOf(text)) {
    const end = begin + part.length;
    const cuts = [begin, ...ranges.flat().filter((at) => at > begin && at < end), end];
    for (let i = 0; i + 1 < cuts.length; i += 1) {
      const from = cuts[i]!;
      const piece = part.slice(from - begin, cuts[i + 1]! - begin);
      const isHit = ranges.some(([first, last]) => from >= first && from < last);
      const css = style && !isHit ? cssOf(style) : undefined;
      if (isHit) shown.push(<mark key={from} className="hit" data-now={isCurrent || undefined}>{piece}</mark>);
      else shown.push(css ? <span key={from} style={css}>{piece}</span> : piece);
    }
    begin = end;
  }
  return shown;
}

interface Props {
  sequence: number;
  line: Line | undefined;
  search: string;
  isHitNow: boolean;
  hasTimes: boolean;
  zone: string | undefined;
  onNumber(sequence: number, isRange: boolean): void;
}

export const LogRow = memo(function LogRow({ sequence, line, search, isHitNow, hasTimes, zone, onNumber }: Props) {
  return (
    <>
      <a
        className="log-number"
        href={`#L${sequence}`}
        aria-label={`Line ${sequence}`}
        onClick={(event) => {
          event.preventDefault();
          onNumber(sequence, event.shiftKey);
        }}
      >
        {sequence}
      </a>
      {line && hasTimes && (
        <time className="log-time" dateTime={line.at} title={exact(line.at)}>
          {fineTime(line.at, zone)}
        </time>
      )}
      {line ? (
        <span className="log-text" data-stream={line.stream}>
          {line.stream === 'STDERR' && <span className="log-tag">err</span>}
          {pieces(line.text, search, isHitNow)}
        </span>
      ) : (
        <span className="log-text soft">…</span>
      )}
    </>
  );
});
