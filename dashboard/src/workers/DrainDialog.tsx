// Asks before a worker is drained, because nothing makes it take jobs again.
import { useState } from 'react';
import { FormDialog } from '../forms/FormDialog';
import { useSend } from '../forms/useSend';
import { tell } from '../ui/Toast';
import { WorkerDrain, type Worker } from './documents';

export function DrainDialog({ worker: { id, hostname, running }, onClose }: { worker: Worker; onClose(): void }) {
  const [typed, setTyped] = useState('');
  const sending = useSend([]);
  const short = id.slice(-6);
  const submit = async () => {
    const { data } = await sending.send(WorkerDrain, { input: { id } });
    if (!data) return;
    tell(`${hostname} ${short} takes no new jobs and exits when its running jobs have finished.`);
    onClose();
  };
  return (
    <FormDialog
      title="Drain this worker"
      act="Drain the worker"
      busy="Draining…"
      isDangerous
      isBusy={sending.isBusy}
      canSend={typed.trim() === short}
      mistake={sending.whole}
      onSubmit={() => void submit()}
      onClose={onClose}
    >
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
    </FormDialog>
  );
}
