// A chart over time: a legend that says the values under the pointer, the canvas, and the same
// numbers as a table for those who do not see or point.
import '../styles/chart.css';
import { lazy, Suspense, useMemo, useState } from 'react';
import { Time } from './Time';

const Plot = lazy(() => import('./Plot').then(({ Plot }) => ({ default: Plot })));

export interface Line {
  name: string;
  /** A colour of tokens.css. */
  colour: '--accent' | '--good' | '--bad' | '--warn' | '--run' | '--ink-soft';
  values: readonly (number | null)[];
  /** A line that could be taken for another without its colour is dashed. */
  dash?: 'long' | 'short';
  isFilled?: boolean;
  /** Whether the values are counts. */
  isWhole?: boolean;
}

interface Props {
  title: string;
  /** One sentence that says what the chart shows. */
  summary: string;
  /** The starts of the steps. */
  at: readonly string[];
  lines: readonly Line[];
  write?: (value: number) => string;
}

const inDigits = (value: number) => value.toLocaleString('en');

function Table({ title, at, lines, write }: Required<Omit<Props, 'summary'>>) {
  return (
    <div className="scroll chart-scroll" tabIndex={0} role="region" aria-label={`${title} as a table`}>
      <table className="plain">
        <thead>
          <tr>
            <th scope="col">From</th>
            {lines.map(({ name }) => (
              <th key={name} scope="col">
                {name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {at
            .map((start, index) => (
              <tr key={start}>
                <td>
                  <Time at={start} />
                </td>
                {lines.map(({ name, values }) => (
                  <td key={name}>{values[index] == null ? 'none' : write(values[index])}</td>
                ))}
              </tr>
            ))
            .reverse()}
        </tbody>
      </table>
    </div>
  );
}

export function Chart({ title, summary, at, lines, write = inDigits }: Props) {
  const [hovered, setHovered] = useState<number | null>(null);
  const [isTable, setTable] = useState(false);
  const times = useMemo(() => at.map((start) => Date.parse(start) / 1000), [at]);
  const shown = hovered !== null && hovered < at.length ? hovered : at.length - 1;
  return (
    <section className="chart" aria-label={title}>
      <div className="chart-head">
        <h2>{title}</h2>
        <span className="soft small chart-at">
          {at[shown] && (
            <>
              {hovered === null ? 'now, from ' : 'from '}
              <Time at={at[shown]} />
            </>
          )}
        </span>
        <button type="button" className="quiet push small" aria-expanded={isTable} onClick={() => setTable(!isTable)}>
          {isTable ? 'Hide the table' : 'Show as a table'}
        </button>
        <ul className="chart-legend">
          {lines.map(({ name, colour, dash, values }) => {
            const value = values[shown];
            return (
              <li key={name}>
                <span className="chart-key" data-dash={dash} style={{ borderColor: `var(${colour})` }} />
                {name} <b>{value == null ? 'none' : write(value)}</b>
              </li>
            );
          })}
        </ul>
      </div>
      <div className="chart-canvas" role="img" aria-label={summary}>
        <Suspense>
          <Plot times={times} lines={lines} write={write} onHover={setHovered} />
        </Suspense>
      </div>
      {isTable && <Table title={title} at={at} lines={lines} write={write} />}
    </section>
  );
}
