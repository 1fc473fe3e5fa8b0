// Asks before a worker is drained, because nothing makes it take jobs again.
import { Dialog } from '@base-ui/react/dialog';
import { useState, type FormEvent } from 'react';
import { change } from '../api/ask';
import { tell } from '../ui/Toast';
import { WorkerDrain, type Worker } from './documents';

export function DrainDialog({ worker: { id, hostname, running }, onClose }: { worker: Worker; onClose(): void }) {
  const [typed, setTyped] = useState('');
  const [mistake, setMistake] = useState('');
  const [isBusy, setBusy] = useState(false);
  const short = id.slice(-6);
  const isTyped = typed.trim() === short;
  const submit = async (event: FormEvent) => {
    event.preventDefault();
    if (!isTyped || isBusy) return;
    setBusy(true);
    const { data, problem } = await change(WorkerDrain, { input: { id } });
    setBusy(false);
    const refused = data?.workerDrain.userErrors[0]?.message ?? problem?.message;
    if (refused) return setMistake(refused);
    tell(`${hostname} ${short} takes no new jobs and exits when its running jobs have finished.`);
    onClose();
  };
  return (
    <Dialog.Root open onOpenChange={(isOpen) => isOpen || onClose()}>
      <Dialog.Portal>
        <Dialog.Backdrop className="backdrop" />
        <Dialog.Popup className="dialog">
          <Dialog.Title className="dialog-title">Drain this worker</Dialog.Title>
          <form className="bulk-form" onSubmit={submit}>
            <p>
              {`${hostname} takes no new jobs. It exits when its ${running === 1 ? 'running job has' : `${running.toLocaleString('en')} running jobs have`} finished. `}
              This cannot be undone: to have its slots again, start another worker.
            </p>
            <label className="field">
              <span>
                {'Type '}
                <b className="mono">{short}</b>
                {' to confirm'}
              </span>
              <input value={typed} autoComplete="off" spellCheck={false} onChange={({ target }) => setTyped(target.value)} autoFocus />
            </label>
            <p className="mistake" role="alert">
              {mistake}
            </p>
            <div className="dialog-foot">
              <Dialog.Close className="button">Back</Dialog.Close>
              <button type="submit" className="danger" disabled={!isTyped || isBusy}>
                Drain the worker
              </button>
            </div>
          </form>
        </Dialog.Popup>
      </Dialog.Portal>
    </Dialog.Root>
  );
}
