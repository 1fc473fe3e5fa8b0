import { Dialog } from '@base-ui/react/dialog';
import { useState, type FormEvent } from 'react';
import { change } from '../api/ask';
import { CommandDelete, type CommandOfPage } from './documents';

interface Props {
  command: CommandOfPage;
  onClose(): void;
  onDeleted(): void;
}

export function DeleteDialog({ command, onClose, onDeleted }: Props) {
  const [typed, setTyped] = useState('');
  const [mistake, setMistake] = useState('');
  const isTyped = typed.trim() === command.name;
  const submit = async (event: FormEvent) => {
    event.preventDefault();
    if (!isTyped) return;
    const { data, problem } = await change(CommandDelete, { input: { id: command.id, version: command.version } });
    const error = data?.commandDelete.userErrors[0];
    if (error?.code === 'STALE_VERSION') return setMistake('Somebody has changed the command since this page was read. Close this, look at it again, and then delete it.');
    if (error || problem) return setMistake(error?.message ?? problem?.message ?? '');
    onDeleted();
  };
  return (
    <Dialog.Root open onOpenChange={(isOpen) => isOpen || onClose()}>
      <Dialog.Portal>
        <Dialog.Backdrop className="backdrop" />
        <Dialog.Popup className="dialog">
          <Dialog.Title className="dialog-title">Delete this command</Dialog.Title>
          <form className="bulk-form" onSubmit={submit}>
            <p>Its jobs stay, and those that have not run yet still run as they were enqueued.</p>
            <label className="field">
              <span>
                Type <b>{command.name}</b> to confirm
              </span>
              <input value={typed} autoComplete="off" spellCheck={false} onChange={({ target }) => setTyped(target.value)} autoFocus />
            </label>
            <p className="mistake" role="alert">
              {mistake}
            </p>
            <div className="dialog-foot">
              <Dialog.Close className="button">Back</Dialog.Close>
              <button type="submit" className="danger" disabled={!isTyped}>
                Delete the command
              </button>
            </div>
          </form>
        </Dialog.Popup>
      </Dialog.Portal>
    </Dialog.Root>
  );
}
