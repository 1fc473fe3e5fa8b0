// A dialog with a form: its title, its fields, why it was refused, and two buttons.
import { Dialog } from '@base-ui/react/dialog';
import type { FormEvent, ReactNode } from 'react';
import '../styles/forms.css';

interface Props {
  title: string;
  /** What the button that sends says. */
  act: string;
  busy?: string;
  isDangerous?: boolean;
  isBusy: boolean;
  canSend?: boolean;
  isWide?: boolean;
  mistake: string;
  children: ReactNode;
  onSubmit(form: HTMLFormElement): void;
  onClose(): void;
}

export function FormDialog({ title, act, busy = 'Saving…', isDangerous, isBusy, canSend = true, isWide, mistake, children, onSubmit, onClose }: Props) {
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    if (canSend && !isBusy) onSubmit(event.currentTarget);
  };
  return (
    <Dialog.Root open onOpenChange={(isOpen) => isOpen || onClose()}>
      <Dialog.Portal>
        <Dialog.Backdrop className="backdrop" />
        <Dialog.Popup className={isWide ? 'dialog form-wide' : 'dialog'}>
          <Dialog.Title className="dialog-title">{title}</Dialog.Title>
          <form className="form" onSubmit={submit} autoComplete="off">
            {children}
            <p className="mistake" role="alert">
              {mistake}
            </p>
            <div className="dialog-foot">
              <Dialog.Close className="button">Back</Dialog.Close>
              <button type="submit" className={isDangerous ? 'danger' : 'primary'} disabled={!canSend || isBusy}>
                {isBusy ? busy : act}
              </button>
            </div>
          </form>
        </Dialog.Popup>
      </Dialog.Portal>
    </Dialog.Root>
  );
}
