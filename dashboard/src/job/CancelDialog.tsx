import { Dialog } from '@base-ui/react/dialog';
import { useState, type FormEvent } from 'react';
import { change } from '../api/ask';
import { tell } from '../ui/Toast';
import { JobCancel } from './documents';

interface Props {
  id: string;
  isRunning: boolean;
  onClose(): void;
}

export function CancelDialog({ id, isRunning, onClose }: Props) {
  const [reason, setReason] = useState('');
  const [mistake, setMistake] = useState('');
  const submit = async (event: FormEvent) => {
    event.preventDefault();
    const { data, problem } = await change(JobCancel, { input: { id, reason: reason.trim() || null } });
    const refused = data?.jobCancel.userErrors[0]?.message ?? problem?.message;
    if (refused) return setMistake(refused);
    tell(isRunning ? 'Asked the worker to stop the job.' : 'The job is cancelled.');
    onClose();
  };
  return (
    <Dialog.Root open onOpenChange={(isOpen) => isOpen || onClose()}>
      <Dialog.Portal>
        <Dialog.Backdrop className="backdrop" />
        <Dialog.Popup className="dialog">
          <Dialog.Title className="dialog-title">Cancel this job</Dialog.Title>
          <form className="bulk-form" onSubmit={submit}>
            <p>{isRunning ? 'Its processes are asked to end, and are killed after the grace period.' : 'It will not start.'}</p>
            <label className="field">
              <span>Reason, recorded in its history</span>
              <input value={reason} maxLength={500} onChange={({ target }) => setReason(target.value)} autoFocus />
            </label>
            <p className="mistake" role="alert">
              {mistake}
            </p>
            <div className="dialog-foot">
              <Dialog.Close className="button">Back</Dialog.Close>
              <button type="submit" className="danger">
                Cancel the job
              </button>
            </div>
          </form>
        </Dialog.Popup>
      </Dialog.Portal>
    </Dialog.Root>
  );
}
