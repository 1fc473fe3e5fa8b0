import { useState } from 'react';
import { FormDialog } from '../forms/FormDialog';
import { useSend } from '../forms/useSend';
import { tell } from '../ui/Toast';
import { JobCancel } from './documents';

interface Props {
  id: string;
  isRunning: boolean;
  onClose(): void;
}

export function CancelDialog({ id, isRunning, onClose }: Props) {
  const [reason, setReason] = useState('');
  const sending = useSend([]);
  const submit = async () => {
    const { data } = await sending.send(JobCancel, { input: { id, reason: reason.trim() || null } });
    if (!data) return;
    tell(isRunning ? 'Asked the worker to stop the job.' : 'The job is cancelled.');
    onClose();
  };
  return (
    <FormDialog
      title="Cancel this job"
      act="Cancel the job"
      busy="Cancelling…"
      isDangerous
      isBusy={sending.isBusy}
      mistake={sending.whole}
      onSubmit={() => void submit()}
      onClose={onClose}
    >
      <p>{isRunning ? 'Its processes are asked to end, and are killed after the grace period.' : 'It will not start.'}</p>
      <label className="field">
        <span>Reason, recorded in its history</span>
        <input value={reason} maxLength={500} onChange={({ target }) => setReason(target.value)} autoFocus />
      </label>
    </FormDialog>
  );
}
