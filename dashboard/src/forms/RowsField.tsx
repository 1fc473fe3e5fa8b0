// A field that is a list of small rows, such as variables or limits.
import { Icon } from '../ui/Icon';

export interface Column {
  name: string;
  label: string;
  /** The values to choose from. Without them it is a text. */
  options?: readonly (readonly [value: string, name: string])[];
  type?: 'text' | 'number';
}

export type Row = Record<string, string>;

interface Props {
  legend: string;
  /** What one row is called, for the buttons. */
  one: string;
  columns: readonly Column[];
  rows: readonly Row[];
  fresh: Row;
  hint?: string;
  mistake?: string;
  onChange(rows: Row[]): void;
}

export function RowsField({ legend, one, columns, rows, fresh, hint, mistake, onChange }: Props) {
  const set = (at: number, name: string, value: string) => onChange(rows.map((row, index) => (index === at ? { ...row, [name]: value } : row)));
  return (
    <fieldset className="rows">
      <legend>{legend}</legend>
      {hint && <p className="soft small">{hint}</p>}
      {rows.map((row, at) => (
        <div className="rows-one" key={at}>
          {columns.map(({ name, label, options, type = 'text' }) => {
            const given = { 'aria-label': `${label}, ${one} ${at + 1}`, value: row[name] ?? '' };
            if (!options) return <input key={name} {...given} type={type} placeholder={label} autoComplete="off" onChange={({ target }) => set(at, name, target.value)} />;
            return (
              <select key={name} {...given} onChange={({ target }) => set(at, name, target.value)}>
                {options.map(([value, text]) => (
                  <option key={value} value={value}>
                    {text}
                  </option>
                ))}
              </select>
            );
          })}
          <button type="button" className="quiet" aria-label={`Remove ${one} ${at + 1}`} onClick={() => onChange(rows.filter((_, index) => index !== at))}>
            <Icon name="close" />
          </button>
        </div>
      ))}
      {mistake && (
        <p className="mistake" role="alert">
          {mistake}
        </p>
      )}
      <button type="button" onClick={() => onChange([...rows, { ...fresh }])}>
        {`Add a ${one}`}
      </button>
    </fieldset>
  );
}
