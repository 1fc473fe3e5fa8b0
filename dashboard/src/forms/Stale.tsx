// Says what somebody else has changed while the form was open, and lets a person choose.
import { inWords } from './edit';
import type { Edit } from './useEdit';

interface Props<Values> {
  edit: Edit<Values>;
  /** What the fields are called. */
  labels: Partial<Record<keyof Values, string>>;
  /** A value in words, where it has names of its own. */
  wordsOf?: (value: unknown) => string;
}

export function Stale<Values>({ edit, labels, wordsOf = inWords }: Props<Values>) {
  if (!edit.differences) return null;
  return (
    <div className="stale" role="alert">
      <p>
        <b>Somebody else has changed this since you opened it.</b> Nothing was saved. Look at the changes, and then save again.
      </p>
      <div className="scroll" tabIndex={0} role="region" aria-label="What has changed">
        <table className="plain">
          <thead>
            <tr>
              {['Field', 'As you opened it', 'As it is now', 'Yours'].map((name) => (
                <th key={name} scope="col">
                  {name}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {edit.differences.map(({ name, before, now, mine }) => (
              <tr key={name}>
                <th scope="row">{labels[name] ?? name}</th>
                <td>{wordsOf(before)}</td>
                <td>{wordsOf(now)}</td>
                <td>{mine === undefined ? <span className="soft">left as it is now</span> : wordsOf(mine)}</td>
              </tr>
            ))}
            {edit.differences.length === 0 && (
              <tr>
                <td colSpan={4}>None of the fields of this form, for example a secret.</td>
              </tr>
            )}
          </tbody>
        </table>
      </div>
      <div className="dialog-foot">
        <button type="button" onClick={edit.takeTheirs}>
          Take what is stored
        </button>
        <button type="button" onClick={edit.keepMine}>
          Keep my changes
        </button>
      </div>
    </div>
  );
}
