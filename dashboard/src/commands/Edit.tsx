// The form of a saved command with a preview of what it would run, and both sides of a conflict.
import { useBlocker } from '@tanstack/react-router';
import { useMemo, useRef, useState } from 'react';
import { ask, change, type Problem } from '../api/ask';
import type { Mistake } from '../form/draft';
import { SchemaForm } from '../form/Form';
import { focusField } from '../form/places';
import { initialOf } from '../form/draft';
import { Plan, TextField } from '../compose/Plan';
import { PreviewPanel } from '../compose/PreviewPanel';
import { inputSchemaOf, parsedSchema, partsOf, previewOf, refit } from '../compose/request';
import { SchemaText, SpecForm } from '../compose/Definition';
import { KIND_NAMES, KINDS, SPECS, type Kind } from '../compose/specs';
import { Surroundings } from '../compose/Surroundings';
import { placed, usePreview } from '../compose/usePreview';
import { ProblemBanner } from '../ui/parts';
import { tell } from '../ui/Toast';
import { Conflicts } from './Conflicts';
import { CommandPageQuery, CommandUpdate, type CommandOfPage } from './documents';
import { changesOf, conflictsOf, formOf, type EditForm, type UpdateInput } from './edit';

export function Edit({ command, onSaved }: { command: CommandOfPage; onSaved(): void }) {
  const [read, setRead] = useState(command);
  const base = useMemo(() => formOf(read), [read]);
  const [form, setForm] = useState<EditForm>(base);
  const [refused, setRefused] = useState<readonly Mistake[]>([]);
  const [failed, setFailed] = useState<Problem | null>(null);
  const [stored, setStored] = useState<CommandOfPage | null>(null);
  const [hasInput, setHasInput] = useState(false);
  const [isBusy, setBusy] = useState(false);
  const parsed = useMemo(() => parsedSchema(form.schemaText), [form.schemaText]);
  const schema = inputSchemaOf(parsed.schema);
  const local = partsOf(form, true).mistakes;
  const preview = usePreview(local.length === 0 ? previewOf(form, { kind: form.kind }) : null);
  // What the input to preview with lacks does not keep the command from being saved.
  const all = local.length > 0 ? local : [...preview.mistakes, ...refused];
  const shown = hasInput ? all : all.filter(({ path }) => path[0] !== 'input');
  const changes = changesOf(base, form);
  const isChanged = Object.keys(changes).length > 0;
  const isSaved = useRef(false);
  useBlocker({
    shouldBlockFn: () => isChanged && !isSaved.current && !confirm('Leave without saving what you have changed?'),
    enableBeforeUnload: () => isChanged && !isSaved.current,
  });
  const update = (next: Partial<EditForm>) => {
    setForm((before) => ({ ...before, ...next }));
    setRefused([]);
  };
  const onSchema = (schemaText: string) => {
    const next = parsedSchema(schemaText);
    update(next.mistakes.length > 0 ? { schemaText } : { schemaText, input: refit(form.input, inputSchemaOf(next.schema)) });
  };
  const onKind = (kind: Kind) => update({ kind, spec: kind === base.kind ? base.spec : initialOf(SPECS[kind], SPECS[kind], true) });
  const save = async (version: number) => {
    const wrong = local.filter(({ path }) => path[0] !== 'input');
    if (wrong[0]) return focusField(wrong[0].path);
    setBusy(true);
    const { data, problem } = await change(CommandUpdate, { input: { ...changes, id: read.id, version } as UpdateInput });
    setFailed(problem);
    const payload = data?.commandUpdate;
    if (payload?.userErrors.some(({ code }) => code === 'STALE_VERSION')) {
      const { data: newer } = await ask(CommandPageQuery, { id: read.id });
      setStored(newer?.command ?? null);
    } else if (payload && payload.userErrors.length > 0) {
      const mistakes = placed(payload.userErrors);
      setStored(null);
      setRefused(mistakes);
      focusField(mistakes[0]!.path);
    } else if (payload) {
      tell('The command is saved.');
      isSaved.current = true;
      onSaved();
    }
    setBusy(false);
  };
  const takeTheirs = () => {
    if (!stored) return;
    setRead(stored);
    setForm(formOf(stored));
    setStored(null);
  };
  return (
    <div className="composer">
      <form
        className="composer-form"
        aria-label="Edit"
        autoComplete="off"
        onSubmit={(event) => event.preventDefault()}
      >
        {stored && <Conflicts conflicts={conflictsOf(form, formOf(stored))} isBusy={isBusy} onMine={() => void save(stored.version)} onTheirs={takeTheirs} />}
        <section className="step" aria-label="Definition">
          <h2>Definition</h2>
          <TextField label="Name" path={['name']} value={form.name} mistakes={shown} isRequired onChange={(name) => update({ name })} />
          <TextField label="Description" path={['description']} value={form.description} mistakes={shown} onChange={(description) => update({ description })} />
          <div className="form-field">
            <label htmlFor="edit-kind">Kind</label>
            <select id="edit-kind" value={form.kind} onChange={({ target }) => onKind(target.value as Kind)}>
              {KINDS.map((kind) => (
                <option key={kind} value={kind}>
                  {KIND_NAMES[kind]}
                </option>
              ))}
            </select>
          </div>
          <SpecForm kind={form.kind} spec={form.spec} mistakes={shown} onSpec={(spec) => update({ spec })} />
          <SchemaText text={form.schemaText} mistakes={shown} onChange={onSchema} />
          <label className="check-line">
            <input type="checkbox" checked={form.isPrivate} onChange={({ target }) => update({ isPrivate: target.checked })} />
            Keep contents of its jobs from VIEWERs
          </label>
        </section>
        <section className="step" aria-label="Profile">
          <h2>Profile, services and proxy</h2>
          <Surroundings command={null} chosen={form.chosen} mistakes={shown} onChange={(chosen) => update({ chosen })} />
        </section>
        <section className="step" aria-label="Queue and policy">
          <h2>Queue and policy</h2>
          <Plan value={form.plan} queue="default" isDraft mistakes={shown} onChange={(plan) => update({ plan })} />
        </section>
        <section className="step" aria-label="Input">
          <h2>An input to preview with</h2>
          <p className="soft small">It is not saved.</p>
          <SchemaForm name="Input" schema={schema} draft={form.input} path={['input']} mistakes={shown} onChange={(input) => (setHasInput(true), update({ input }))} />
        </section>
      </form>
      <aside className="composer-side" aria-label="What would run">
        <div className="composer-acts">
          <button type="button" className="primary" disabled={!isChanged || isBusy} onClick={() => void save(read.version)}>
            {isBusy ? 'Saving…' : 'Save'}
          </button>
          <button type="button" className="quiet" disabled={!isChanged} onClick={() => setForm(base)}>
            Undo the changes
          </button>
          <span className="soft small">{isChanged ? 'Jobs that were enqueued keep what they have.' : 'Nothing is changed.'}</span>
        </div>
        {failed && <ProblemBanner problem={failed} />}
        <PreviewPanel preview={preview} mistakes={all} again={preview.again} />
      </aside>
    </div>
  );
}
