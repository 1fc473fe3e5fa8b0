// Creates a key, and shows it once: closing the dialog forgets it.
import { Dialog } from '@base-ui/react/dialog';
import { useState } from 'react';
import { SelectField, TextField } from '../forms/Fields';
import { FormDialog } from '../forms/FormDialog';
import { useSend } from '../forms/useSend';
import { Icon } from '../ui/Icon';
import { useZone } from '../ui/Time';
import { instantOf } from '../ui/time';
import { tell } from '../ui/Toast';
import { ApiKeyCreate, type ApiKey } from './documents';

const ROLES = [
  ['VIEWER', 'VIEWER: reads'],
  ['OPERATOR', 'OPERATOR: also enqueues, cancels and retries jobs'],
  ['ADMIN', 'ADMIN: everything, including secrets and keys'],
] as const;

function NewKey({ name, secret, onClose }: { name: string; secret: string; onClose(): void }) {
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(secret);
      tell('The key is copied.');
    } catch {
      tell('The browser does not allow copying. Select the key and copy it by hand.');
    }
  };
  return (
    <Dialog.Root open onOpenChange={(isOpen) => isOpen || onClose()}>
      <Dialog.Portal>
        <Dialog.Backdrop className="backdrop" />
        <Dialog.Popup className="dialog">
          <Dialog.Title className="dialog-title">{`The key ${name}`}</Dialog.Title>
          <p>It is shown here once and never again. Copy it now, and hand it over by a way that only its person reads.</p>
          <p className="new-key mono" data-new-key="">
            {secret}
          </p>
          <div className="dialog-foot">
            <button type="button" className="primary" onClick={() => void copy()}>
              <Icon name="copy" /> Copy
            </button>
            <Dialog.Close className="button">Close</Dialog.Close>
          </div>
        </Dialog.Popup>
      </Dialog.Portal>
    </Dialog.Root>
  );
}

export function KeyForm({ onCreated, onClose }: { onCreated(): void; onClose(): void }) {
  const zone = useZone();
  const [name, setName] = useState('');
  const [role, setRole] = useState<ApiKey['role']>('VIEWER');
  const [expires, setExpires] = useState('');
  const [secret, setSecret] = useState<string | null>(null);
  const sending = useSend(['name', 'role', 'expiresAt']);
  const submit = async () => {
    const { data } = await sending.send(ApiKeyCreate, { input: { name, role, expiresAt: instantOf(expires, zone) } });
    if (!data?.apiKeyCreate.key) return;
    setSecret(data.apiKeyCreate.key);
    onCreated();
  };
  if (secret !== null) return <NewKey name={name} secret={secret} onClose={onClose} />;
  return (
    <FormDialog title="New key" act="Create the key" isBusy={sending.isBusy} mistake={sending.whole} onSubmit={() => void submit()} onClose={onClose}>
      <TextField
        label="Name"
        hint="Who or what it is for. The audit shows it."
        value={name}
        onChange={setName}
        mistake={sending.at('name')}
        isRequired
        isFirst
      />
      <SelectField label="Role" options={ROLES} value={role} onChange={(value) => setRole(value as ApiKey['role'])} mistake={sending.at('role')} />
      <TextField
        label="Expires at"
        hint={`Empty means never. A time in ${zone ?? 'the time zone of this browser'}.`}
        type="datetime-local"
        value={expires}
        onChange={setExpires}
        mistake={sending.at('expiresAt')}
      />
    </FormDialog>
  );
}
