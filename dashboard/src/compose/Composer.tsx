// The form for one command or one draft, with its preview, and what may be done with it.
import { useNavigate } from '@tanstack/react-router';
import { useMemo, useRef, useState } from 'react';
import { change, type Problem } from '../api/ask';
import { playgroundUrl } from '../app/playground';
import { useCan } from '../app/session';
import { initialOf, type Draft, type Mistake } from '../form/draft';
import { SchemaForm } from '../form/Form';
import { focusField } from '../form/places';
import type { Schema } from '../form/schema';
import { ProblemBanner } from '../ui/parts';
import { tell } from '../ui/Toast';
import { useZone } from '../ui/Time';
import { SchemaText, SpecForm } from './Definition';
import { CommandCreate, JobEnqueue, Preview, type CommandOf } from './documents';
import { Plan, TextField } from './Plan';
import { PreviewPanel } from './PreviewPanel';
import { createOf, EMPTY_PLAN, inputSchemaOf, jobOf, parsedSchema, partsOf, previewOf, refit, type Form } from './request';
import { KIND_NAMES, SPECS, type Kind } from './specs';
import { Surroundings } from './Surroundings';
import { placed, usePreview } from './usePreview';

const newKey = () => [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, '0')).join('');

export type Subject = { command: CommandOf } | { kind: Kind };

interface Props {
  subject: Subject;
  profile: string | undefined;
  /** The input that was filled in before the draft was saved. */
  handed: Draft | null;
  onSaved(commandId: string, input: Draft): void;
}

function begin(subject: Subject, profile: string | undefined, handed: Draft | null): Form {
  const schema = 'command' in subject ? inputSchemaOf(subject.command.inputSchema as Schema) : inputSchemaOf({});
  const spec = 'kind' in subject ? initialOf(SPECS[subject.kind], SPECS[subject.kind], true) : ({ kind: 'absent' } as const);
  return {
    name: '',
    description: '',
    spec,
    schemaText: '',
    input: handed ? refit(handed, schema) : initialOf(schema, schema, true),
    chosen: { profileId: profile, proxyId: undefined, serviceIds: undefined },
    plan: EMPTY_PLAN,
  };
}

export function Composer({ subject, profile, handed, onSaved }: Props) {
  const navigate = useNavigate();
  const zone = useZone();
  const canRun = useCan('jobEnqueue');
  const canSave = useCan('commandCreate');
  const command = 'command' in subject ? subject.command : null;
  const what = 'command' in subject ? { commandId: subject.command.id } : { kind: subject.kind };
  const kind = 'kind' in subject ? subject.kind : null;
  const [form, setForm] = useState<Form>(() => begin(subject, profile, handed));
  const [isTouched, setTouched] = useState(handed !== null);
  const [refused, setRefused] = useState<readonly Mistake[]>([]);
  const [failed, setFailed] = useState<Problem | null>(null);
  const [isBusy, setBusy] = useState(false);
  const key = useRef(newKey());
  const parsed = useMemo(() => parsedSchema(form.schemaText), [form.schemaText]);
  const schema = inputSchemaOf(command ? (command.inputSchema as Schema) : parsed.schema);
  const local = partsOf(form, kind !== null).mistakes;
  const preview = usePreview(local.length === 0 ? previewOf(form, what) : null);
  const all = local.length > 0 ? local : [...preview.mistakes, ...refused];
  const shown = isTouched ? all : [];
  const update = (next: Partial<Form>) => {
    setForm((before) => ({ ...before, ...next }));
    setTouched(true);
    setRefused([]);
  };
  const onSchema = (schemaText: string) => {
    const next = parsedSchema(schemaText);
    update(next.mistakes.length > 0 ? { schemaText } : { schemaText, input: refit(form.input, inputSchemaOf(next.schema)) });
  };
  const refuse = (mistakes: readonly Mistake[]) => {
    setTouched(true);
    setRefused(mistakes);
    if (mistakes[0]) focusField(mistakes[0].path);
  };
  const run = async () => {
    if (!command || !canRun) return;
    const job = jobOf(form, command.id, key.current, zone);
    if (job.mistakes.length > 0) return refuse(job.mistakes);
    setBusy(true);
    const { data, problem } = await change(JobEnqueue, { input: job.input });
    setBusy(false);
    setFailed(problem);
    const payload = data?.jobEnqueue;
    if (payload?.job) return void navigate({ to: '/jobs/$jobId', params: { jobId: payload.job.id } });
    if (payload?.userErrors.some(({ code }) => code === 'IDEMPOTENCY_CONFLICT')) {
      // An earlier run of this form was accepted, though its answer did not come.
      key.current = newKey();
      return setFailed({ code: 'IDEMPOTENCY_CONFLICT', message: 'This form has already made a job with other values. Look at the jobs, or run it once more to make another one.' });
    }
    if (payload) refuse(placed(payload.userErrors));
  };
  const save = async () => {
    if (!kind || !canSave) return;
    if (!form.name.trim()) return refuse([{ path: ['name'], message: 'Give the command a name first.' }]);
    if (local.length > 0) return refuse(local);
    setBusy(true);
    const { data, problem } = await change(CommandCreate, { input: createOf(form, kind) });
    setBusy(false);
    setFailed(problem);
    const payload = data?.commandCreate;
    if (payload?.command) {
      tell('The command is saved.');
      return onSaved(payload.command.id, form.input);
    }
    if (payload) refuse(placed(payload.userErrors));
  };
  return (
    <div className="composer">
      <form
        className="composer-form"
        aria-label="Compose"
        autoComplete="off"
        onSubmit={(event) => event.preventDefault()}
        onKeyDown={(event) => {
          // Enter alone ends a line or a field, and must not start a job.
          if (event.key !== 'Enter' || !(event.ctrlKey || event.metaKey)) return;
          event.preventDefault();
          void (command ? run() : save());
        }}
      >
        {kind && (
          <section className="step" aria-label="Definition">
            <h2>{KIND_NAMES[kind]}</h2>
            {canSave && (
              <>
                <TextField label="Name, needed to save it" path={['name']} value={form.name} mistakes={shown} onChange={(name) => update({ name })} />
                <TextField label="Description" path={['description']} value={form.description} mistakes={shown} onChange={(description) => update({ description })} />
              </>
            )}
            <SpecForm kind={kind} spec={form.spec} mistakes={shown} onSpec={(spec) => update({ spec })} />
            <SchemaText text={form.schemaText} mistakes={shown} onChange={onSchema} />
          </section>
        )}
        <section className="step" aria-label="Profile">
          <h2>2. Profile</h2>
          <Surroundings command={command} chosen={form.chosen} mistakes={shown} onChange={(chosen) => update({ chosen })} />
        </section>
        <section className="step" aria-label="Input">
          <h2>3. Input</h2>
          <SchemaForm name="Input" schema={schema} draft={form.input} path={['input']} mistakes={shown} onChange={(input) => update({ input })} />
        </section>
        <section className="step" aria-label="Plan">
          <h2>{kind ? '4. Queue and policy' : '4. When and how'}</h2>
          <Plan value={form.plan} queue={command?.queue} isDraft={kind !== null} mistakes={shown} onChange={(plan) => update({ plan })} />
        </section>
      </form>
      <aside className="composer-side" aria-label="What would run">
        <div className="composer-acts">
          {command && canRun && (
            <button type="button" className="primary" onClick={() => void run()}>
              {isBusy ? 'Enqueuing…' : form.plan.isLater ? 'Run later' : 'Run'}
            </button>
          )}
          {kind && canSave && (
            <button type="button" className="primary" onClick={() => void save()} disabled={isBusy}>
              Save
            </button>
          )}
          {kind && canSave && <span className="soft small">A draft can run once it is saved.</span>}
          <a className="push small" href={playgroundUrl(Preview, { input: previewOf(form, what, schema) })}>
            Show the query
          </a>
        </div>
        {failed && <ProblemBanner problem={failed} />}
        <PreviewPanel preview={preview} mistakes={all} again={preview.again} />
      </aside>
    </div>
  );
}
