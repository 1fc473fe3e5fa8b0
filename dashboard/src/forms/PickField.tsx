// A field that is an ordered choice among objects of the catalogue.
import { Icon } from '../ui/Icon';

export interface Option {
  id: string;
  name: string;
}

interface Props {
  legend: string;
  one: string;
  options: readonly Option[];
  chosen: readonly string[];
  hint?: string;
  mistake?: string;
  onChange(ids: string[]): void;
}

export function PickField({ legend, one, options, chosen, hint, mistake, onChange }: Props) {
  const nameOf = (id: string) => options.find((option) => option.id === id)?.name ?? id;
  const others = options.filter(({ id }) => !chosen.includes(id));
  const raise = (at: number) => {
    const next = [...chosen];
    next.splice(at - 1, 0, ...next.splice(at, 1));
    onChange(next);
  };
  return (
    <fieldset className="rows">
      <legend>{legend}</legend>
      {hint && <p className="soft small">{hint}</p>}
      {chosen.length > 0 && (
        <ol className="picked">
          {chosen.map((id, at) => (
            <li key={id}>
              <span className="cut">{nameOf(id)}</span>
              <button type="button" className="quiet" disabled={at === 0} aria-label={`Move ${nameOf(id)} up`} onClick={() => raise(at)}>
                <Icon name="up" />
              </button>
              <button type="button" className="quiet" aria-label={`Remove ${nameOf(id)}`} onClick={() => onChange(chosen.filter((other) => other !== id))}>
                <Icon name="close" />
              </button>
            </li>
          ))}
        </ol>
      )}
      {mistake && (
        <p className="mistake" role="alert">
          {mistake}
        </p>
      )}
      {others.length > 0 && (
        <select value="" aria-label={`Add a ${one}`} onChange={({ target }) => target.value && onChange([...chosen, target.value])}>
          <option value="">{`Add a ${one}…`}</option>
          {others.map(({ id, name }) => (
            <option key={id} value={id}>
              {name}
            </option>
          ))}
        </select>
      )}
      {options.length === 0 && <p className="soft small">{`There is no ${one} yet.`}</p>}
    </fieldset>
  );
}
