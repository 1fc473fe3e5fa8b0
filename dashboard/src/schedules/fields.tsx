// The fields of the form of a schedule.
import { useAsk } from '../api/ask';
import { Field } from '../forms/Fields';
import { CommandChoices } from './documents';
import { CATCH_UPS, OVERLAPS, type Mistakes, type Typed } from './form';

interface Props {
  typed: Typed;
  mistakes: Mistakes;
  set(changes: Partial<Typed>): void;
}

const ZONES = Intl.supportedValuesOf('timeZone');

export function TimeFields({ typed, mistakes, set }: Props) {
  // A length that was set elsewhere stays among the choices.
  const catchUps = CATCH_UPS.some(([value]) => value === typed.catchUp) ? CATCH_UPS : [...CATCH_UPS, [typed.catchUp, typed.catchUp] as const];
  return (
    <>
      <Field label="Name" mistake={mistakes.name}>
        {(control) => <input {...control} value={typed.name} maxLength={100} autoComplete="off" autoFocus onChange={({ target }) => set({ name: target.value })} />}
      </Field>
      <div className="schedule-pair">
        <Field label="Pattern" mistake={mistakes.cron} hint="Minute, hour, day of month, month, day of week: 30 2 * * MON-FRI. Or @hourly, @daily, @weekly.">
          {(control) => (
            <input {...control} className="mono" value={typed.cron} maxLength={200} autoComplete="off" spellCheck={false} onChange={({ target }) => set({ cron: target.value })} />
          )}
        </Field>
        <Field label="Time zone of the pattern" mistake={mistakes.timezone} hint="Such as Europe/Berlin.">
          {(control) => (
            <>
              <input {...control} list="schedule-zones" value={typed.timezone} autoComplete="off" spellCheck={false} onChange={({ target }) => set({ timezone: target.value })} />
              <datalist id="schedule-zones">
                <option value="UTC" />
                {ZONES.map((zone) => (
                  <option key={zone} value={zone} />
                ))}
              </datalist>
            </>
          )}
        </Field>
      </div>
      <div className="schedule-pair">
        <Field label="While its last job is unfinished" mistake={mistakes.overlap}>
          {(control) => (
            <select {...control} value={typed.overlap} onChange={({ target }) => set({ overlap: target.value as Typed['overlap'] })}>
              {OVERLAPS.map(([value, name]) => (
                <option key={value} value={value}>
                  {name}
                </option>
              ))}
            </select>
          )}
        </Field>
        <Field label="Makes up missed runs" mistake={mistakes.catchUp}>
          {(control) => (
            <select {...control} value={typed.catchUp} onChange={({ target }) => set({ catchUp: target.value })}>
              {catchUps.map(([value, name]) => (
                <option key={value} value={value}>
                  {name}
                </option>
              ))}
            </select>
          )}
        </Field>
      </div>
    </>
  );
}

export function JobFields({ typed, mistakes, set }: Props) {
  const { data } = useAsk(CommandChoices, { search: typed.command.trim() });
  return (
    <>
      <Field label="Command that it runs" mistake={mistakes.command}>
        {(control) => (
          <>
            <input {...control} list="schedule-commands" value={typed.command} autoComplete="off" spellCheck={false} onChange={({ target }) => set({ command: target.value })} />
            <datalist id="schedule-commands">
              {data?.commands.nodes.map(({ id, name }) => (
                <option key={id} value={name} />
              ))}
            </datalist>
          </>
        )}
      </Field>
      <Field label="Input" mistake={mistakes.input} hint="In JSON. What the command marks as secret is encrypted, and never shown again.">
        {(control) => (
          <textarea {...control} className="mono" rows={3} value={typed.input} autoComplete="off" spellCheck={false} onChange={({ target }) => set({ input: target.value })} />
        )}
      </Field>
      <div className="schedule-pair">
        <Field label="Queue" mistake={mistakes.queue} hint="Empty means that of the command.">
          {(control) => <input {...control} value={typed.queue} autoComplete="off" spellCheck={false} onChange={({ target }) => set({ queue: target.value })} />}
        </Field>
        <Field label="Priority" mistake={mistakes.priority} hint="9 runs first.">
          {(control) => (
            <select {...control} value={typed.priority} onChange={({ target }) => set({ priority: target.value })}>
              <option value="">as the command</option>
              {Array.from({ length: 10 }, (_, priority) => (
                <option key={priority} value={priority}>
                  {priority}
                </option>
              ))}
            </select>
          )}
        </Field>
      </div>
      <Field label="Labels" mistake={mistakes.labels} hint="Separated by commas.">
        {(control) => <input {...control} value={typed.labels} autoComplete="off" onChange={({ target }) => set({ labels: target.value })} />}
      </Field>
    </>
  );
}
