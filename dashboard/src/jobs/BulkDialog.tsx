// Asks before many jobs are changed: with the frozen filter in words, the number that the server
// has counted, the number typed by hand, and a reason. Then it says what has become of them.
import { Dialog } from '@base-ui/react/dialog';
import { useEffect, useState, type FormEvent } from 'react';
import type { JobFilter } from './documents';
import { filterOfAct, MOST, run, type Act, type Outcome } from './bulk';
import { statesInWords } from './search';

export interface Question {
  act: Act;
  filter: JobFilter | null;
  /** The filter in words. */
  words: string[];
}

const VERBS: Record<Act, { name: string; done: string; busy: string }> = {
  cancel: { name: 'Cancel', done: 'cancelled', busy: 'Cancelling…' },
  retry: { name: 'Retry', done: 'enqueued again', busy: 'Retrying…' },
};

const plural = (count: number) => `${count.toLocaleString('en')} ${count === 1 ? 'job' : 'jobs'}`;

export function BulkDialog({ question, onClose }: { question: Question; onClose(isDone: boolean): void }) {
  const { act, words } = question;
  const [filter] = useState(() => filterOfAct(act, question.filter));
  const [counted, setCounted] = useState<Outcome | null>(null);
  const [outcome, setOutcome] = useState<Outcome | null>(null);
  const [typed, setTyped] = useState('');
  const [reason, setReason] = useState('');
  const [isBusy, setBusy] = useState(false);
  useEffect(() => {
    let isOver = false;
    void run(act, filter, true, '').then((found) => isOver || setCounted(found));
    return () => void (isOver = true);
  }, [act, filter]);
  const verb = VERBS[act];
  const count = counted?.affected ?? 0;
  const isTyped = counted !== null && typed.replace(/\D/g, '') === String(count);
  const submit = async (event: FormEvent) => {
    event.preventDefault();
    if (!isTyped || isBusy) return;
    setBusy(true);
    setOutcome(await run(act, filter, false, reason));
    setBusy(false);
  };
  const mistake = outcome?.mistake ?? counted?.mistake ?? null;
  return (
    <Dialog.Root open onOpenChange={(isOpen) => isOpen || onClose(outcome !== null && !outcome.mistake)}>
      <Dialog.Portal>
        <Dialog.Backdrop className="backdrop" />
        <Dialog.Popup className="dialog">
          <Dialog.Title className="dialog-title">{`${verb.name} jobs`}</Dialog.Title>
          <ul className="words" aria-label="Which jobs">
            {words.map((word) => (
              <li key={word}>{word}</li>
            ))}
            {!question.filter && <li>{`State: ${statesInWords(filter.states ?? [])}`}</li>}
          </ul>
          {outcome && !outcome.mistake ? (
            <p role="status">{`${plural(outcome.affected)} ${outcome.affected === 1 ? 'was' : 'were'} ${verb.done}, ${outcome.skipped.toLocaleString('en')} skipped because their state did not allow it.`}</p>
          ) : (
            <form className="bulk-form" onSubmit={submit}>
              {counted === null && <p role="status">Counting…</p>}
              {counted && !counted.mistake && (
                <p role="status">
                  <b>{plural(count)}</b>
                  {` will be ${verb.done}. `}
                  {counted.skipped > 0 && `${counted.skipped.toLocaleString('en')} more match, and are left alone because of their state.`}
                </p>
              )}
              {count > MOST && <p className="mistake">{`At most ${MOST.toLocaleString('en')} can be changed at once. Narrow the filter, for example by time.`}</p>}
              {mistake && (
                <p className="mistake" role="alert">
                  {mistake}
                </p>
              )}
              {act === 'cancel' && (
                <label className="field">
                  <span>Reason, recorded in the history of each job</span>
                  <input value={reason} maxLength={500} onChange={({ target }) => setReason(target.value)} />
                </label>
              )}
              <label className="field">
                <span>{`Type ${counted ? count : 'the number'} to confirm`}</span>
                <input value={typed} inputMode="numeric" autoComplete="off" onChange={({ target }) => setTyped(target.value)} />
              </label>
              <div className="dialog-foot">
                <Dialog.Close className="button">Back</Dialog.Close>
                <button type="submit" className={act === 'cancel' ? 'danger' : 'primary'} disabled={!isTyped || isBusy || count === 0 || count > MOST}>
                  {isBusy ? verb.busy : `${verb.name} ${counted ? plural(count) : ''}`}
                </button>
              </div>
            </form>
          )}
          {outcome && !outcome.mistake && (
            <div className="dialog-foot">
              <Dialog.Close className="button">Close</Dialog.Close>
            </div>
          )}
        </Dialog.Popup>
      </Dialog.Portal>
    </Dialog.Root>
  );
}
