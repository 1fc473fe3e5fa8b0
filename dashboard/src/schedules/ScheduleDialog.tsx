// The form that makes a schedule or changes one.
import { Dialog } from '@base-ui/react/dialog';
import { useState, type FormEvent } from 'react';
import { ask, change, useAsk, type Problem } from '../api/ask';
import { Loading, ProblemBanner } from '../ui/parts';
import { useZone } from '../ui/Time';
import { tell } from '../ui/Toast';
import { CommandByName, ScheduleCreate, ScheduleToEdit, ScheduleUpdate, type ScheduleStored } from './documents';
import { JobFields, TimeFields } from './fields';
import { createInputOf, emptyForm, formOf, jobInputOf, mistakesOf, updateInputOf, type Mistakes, type Typed } from './form';

type Errors = readonly { code: string; path: readonly string[]; message: string }[];

interface Answer {
  errors: Errors;
  problem: Problem | null;
}

async function create(typed: Typed): Promise<Answer | Mistakes> {
  const job = jobInputOf(typed.input);
  if ('mistake' in job) return { input: job.mistake };
  const found = await ask(CommandByName, { name: typed.command.trim() });
  if (found.problem) return { errors: [], problem: found.problem };
  if (!found.data?.command) return { command: 'There is no command of this name. Choose one of the list.' };
  const { data, problem } = await change(ScheduleCreate, { input: createInputOf(typed, found.data.command.id, job.input) });
  return { errors: data?.scheduleCreate.userErrors ?? [], problem };
}

async function update(typed: Typed, stored: ScheduleStored): Promise<Answer> {
  const { data, problem } = await change(ScheduleUpdate, { input: updateInputOf(typed, stored) });
  return { errors: data?.scheduleUpdate.userErrors ?? [], problem };
}

interface FormProps {
  stored: ScheduleStored | null;
  onSaved(): void;
  onReadAgain(): void;
}

function Form({ stored, onSaved, onReadAgain }: FormProps) {
  const zone = useZone() ?? Intl.DateTimeFormat().resolvedOptions().timeZone;
  const [typed, setTyped] = useState(() => (stored ? formOf(stored) : emptyForm(zone)));
  const [mistakes, setMistakes] = useState<Mistakes>({});
  const [isStale, setStale] = useState(false);
  const [isBusy, setBusy] = useState(false);
  const submit = async (event: FormEvent) => {
    event.preventDefault();
    if (isBusy) return;
    setBusy(true);
    const answer = stored ? await update(typed, stored) : await create(typed);
    setBusy(false);
    if (!('errors' in answer)) return setMistakes(answer);
    setStale(answer.errors.some(({ code }) => code === 'STALE_VERSION'));
    if (answer.problem) return setMistakes({ form: answer.problem.message });
    if (answer.errors.length > 0) return setMistakes(mistakesOf(answer.errors));
    tell(stored ? `${typed.name.trim()} is changed.` : `${typed.name.trim()} is made.`);
    onSaved();
  };
  const set = (changes: Partial<Typed>) => setTyped({ ...typed, ...changes });
  return (
    <form className="schedule-form" onSubmit={submit} noValidate>
      <div className="mistake" role="alert">
        {mistakes.form}
        {isStale && (
          <>
            {' '}
            <button type="button" onClick={onReadAgain}>
              Read it again
            </button>
          </>
        )}
      </div>
      <TimeFields typed={typed} mistakes={mistakes} set={set} />
      {stored ? (
        <p className="soft">
          {`Its job, which runs ${stored.job.command.name}, stays as it is. To change that too, use scheduleUpdate with a whole job.`}
        </p>
      ) : (
        <JobFields typed={typed} mistakes={mistakes} set={set} />
      )}
      <div className="dialog-foot">
        <Dialog.Close className="button">Back</Dialog.Close>
        <button type="submit" className="primary" disabled={isBusy}>
          {stored ? 'Save' : 'Make the schedule'}
        </button>
      </div>
    </form>
  );
}

export function ScheduleDialog({ id, onClose }: { id: string | null; onClose(isSaved: boolean): void }) {
  const { data, problem, isLoading, again } = useAsk(ScheduleToEdit, id === null ? null : { id });
  const stored = data?.schedule ?? null;
  const isReading = id !== null && isLoading;
  return (
    <Dialog.Root open onOpenChange={(isOpen) => isOpen || onClose(false)}>
      <Dialog.Portal>
        <Dialog.Backdrop className="backdrop" />
        <Dialog.Popup className="dialog schedule-dialog">
          <Dialog.Title className="dialog-title">{id === null ? 'New schedule' : 'Change the schedule'}</Dialog.Title>
          {problem && <ProblemBanner problem={problem} again={() => void again()} />}
          {isReading && <Loading what="the schedule" />}
          {!isReading && !problem && id !== null && !stored && <p>There is no such schedule. It may have been deleted.</p>}
          {(id === null || stored) && (
            <Form key={stored?.version ?? 0} stored={stored} onSaved={() => onClose(true)} onReadAgain={() => void again()} />
          )}
        </Dialog.Popup>
      </Dialog.Portal>
    </Dialog.Root>
  );
}
