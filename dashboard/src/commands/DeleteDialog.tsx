import { useState } from 'react';
import { FormDialog } from '../forms/FormDialog';
import { isStale } from '../forms/refusals';
import { useSend } from '../forms/useSend';
import { CommandDelete, type CommandOfPage } from './documents';

interface Props {
  command: CommandOfPage;
  onClose(): void;
  onDeleted(): void;
}

const CHANGED = {
  code: 'STALE_VERSION',
  message: 'Somebody has changed the command since this page was read. Close this, look at it again, and then delete it.',
  path: ['input'],
};

export function DeleteDialog({ command, onClose, onDeleted }: Props) {
  const [typed, setTyped] = useState('');
  const sending = useSend([]);
  const submit = async () => {
    const { data, refusals } = await sending.send(CommandDelete, { input: { id: command.id, version: command.version } });
    if (data) return onDeleted();
    if (isStale(refusals)) sending.refuse([CHANGED]);
  };
  return (
    <FormDialog
      title="Delete this command"
      act="Delete the command"
      busy="Deleting…"
      isDangerous
      isBusy={sending.isBusy}
      canSend={typed.trim() === command.name}
      mistake={sending.whole}
      onSubmit={() => void submit()}
      onClose={onClose}
    >
      <p>Its jobs stay, and those that have not run yet still run as they were enqueued.</p>
      <label className="field">
        <span>
          Type <b>{command.name}</b> to confirm
        </span>
        <input value={typed} autoComplete="off" spellCheck={false} onChange={({ target }) => setTyped(target.value)} autoFocus />
      </label>
    </FormDialog>
  );
}
