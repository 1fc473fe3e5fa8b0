// Parts of a proxy that the table and its page share.
import { useState } from 'react';
import { change } from '../api/ask';
import { SecretField, secretOf, TextField } from '../forms/Fields';
import { FormDialog } from '../forms/FormDialog';
import { useSend } from '../forms/useSend';
import { tell } from '../ui/Toast';
import { ProxyCheck, ProxyImport, type ProxyOfRow } from './documents';

/** Sends a request through the proxy now, and says what came of it. */
export function CheckButton({ proxy, again }: { proxy: ProxyOfRow; again(): void }) {
  const [isBusy, setBusy] = useState(false);
  const check = async () => {
    setBusy(true);
    const { data, problem } = await change(ProxyCheck, { input: { id: proxy.id } });
    setBusy(false);
    const refused = problem?.message ?? data?.proxyCheck.userErrors[0]?.message;
    tell(refused ?? `${proxy.name} is ${data?.proxyCheck.proxy?.health.status === 'HEALTHY' ? 'healthy' : 'down'}.`);
    again();
  };
  return (
    <button type="button" disabled={isBusy} aria-label={`Check now: ${proxy.name}`} onClick={() => void check()}>
      Check now
    </button>
  );
}

export function ImportForm({ onSaved, onClose }: { onSaved(id: string): void; onClose(): void }) {
  const [name, setName] = useState('');
  const sending = useSend(['link', 'name']);
  const submit = async (form: HTMLFormElement) => {
    const { data } = await sending.send(ProxyImport, { input: { link: secretOf(form, 'link'), name: name.trim() || null } });
    const id = data?.proxyImport.proxy?.id;
    if (!id) return;
    form.reset();
    tell('The proxy is created. Check it before jobs use it.');
    onSaved(id);
  };
  return (
    <FormDialog
      title="Import a share link"
      act="Import it"
      isBusy={sending.isBusy}
      mistake={sending.whole}
      onSubmit={(form) => void submit(form)}
      onClose={onClose}
    >
      <SecretField
        name="link"
        label="Link"
        hint="http://, https:// or socks5://, as in socks5://user:password@host:port#name. The whole link is a secret."
        mistake={sending.at('link')}
        isRequired
        isFirst
      />
      <TextField label="Name" hint="Empty takes that of the link, or its address." value={name} onChange={setName} mistake={sending.at('name')} />
    </FormDialog>
  );
}
