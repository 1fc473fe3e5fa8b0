// The secrets of a profile: their names and hints, and forms that set, replace and remove them.
import { useState } from 'react';
import { Hint, Section } from '../catalog/parts';
import { ConfirmDialog } from '../forms/ConfirmDialog';
import { SecretField, secretOf, TextField } from '../forms/Fields';
import { FormDialog } from '../forms/FormDialog';
import { useSend } from '../forms/useSend';
import { Time, useZone } from '../ui/Time';
import { instantOf } from '../ui/time';
import { tell } from '../ui/Toast';
import { ProfileUpdate, type ProfileOfPage } from './documents';

interface FormProps {
  profile: ProfileOfPage;
  /** The secret to replace, or null for a new one. */
  replaced: string | null;
  onSaved(): void;
  onClose(): void;
}

function SecretForm({ profile, replaced, onSaved, onClose }: FormProps) {
  const zone = useZone();
  const [name, setName] = useState(replaced ?? '');
  const [expires, setExpires] = useState('');
  const sending = useSend(['secrets.0.name', 'secrets.0.value', 'secrets.0.expiresAt']);
  const submit = async (form: HTMLFormElement) => {
    const secret = { name, value: secretOf(form, 'value'), expiresAt: instantOf(expires, zone) };
    const { data } = await sending.send(ProfileUpdate, { input: { id: profile.id, secrets: [secret] } });
    if (!data) return;
    form.reset();
    tell(`The secret ${name} is set. It cannot be read again.`);
    onSaved();
  };
  return (
    <FormDialog
      title={replaced ? `Replace the secret ${replaced}` : 'Set a secret'}
      act={replaced ? 'Replace it' : 'Set it'}
      isBusy={sending.isBusy}
      mistake={sending.whole}
      onSubmit={(form) => void submit(form)}
      onClose={onClose}
    >
      {!replaced && (
        <TextField
          label="Name"
          hint="Templates use it: profile.secrets.NAME."
          value={name}
          onChange={setName}
          mistake={sending.at('secrets.0.name')}
          isRequired
          isFirst
        />
      )}
      <SecretField
        name="value"
        label="Value"
        hint="It goes in and never comes out. Of a value with at least 16 characters the last four are shown."
        mistake={sending.at('secrets.0.value')}
        isRequired
        isFirst={replaced !== null}
      />
      <TextField
        label="Expires at"
        hint="For information only. Empty means never."
        type="datetime-local"
        value={expires}
        onChange={setExpires}
        mistake={sending.at('secrets.0.expiresAt')}
      />
    </FormDialog>
  );
}

export function Secrets({ profile, mayEdit, again }: { profile: ProfileOfPage; mayEdit: boolean; again(): void }) {
  const [isSetting, setSetting] = useState<{ replaced: string | null } | null>(null);
  const [removed, setRemoved] = useState<string | null>(null);
  const settle = () => {
    setSetting(null);
    setRemoved(null);
    again();
  };
  const add = mayEdit && (
    <button type="button" onClick={() => setSetting({ replaced: null })}>
      Set a secret
    </button>
  );
  return (
    <Section title="Secrets" acts={add}>
      {profile.secrets.length === 0 && <p className="soft">None are set. Templates read them as profile.secrets.NAME.</p>}
      {profile.secrets.length > 0 && (
        <div className="scroll" tabIndex={0} role="region" aria-label="Secrets that are set">
          <table className="plain">
            <thead>
              <tr>
                {['Name', 'Hint', 'Set at', ''].map((title) => (
                  <td key={title} className="soft small">
                    {title || <span className="hidden">Actions</span>}
                  </td>
                ))}
              </tr>
            </thead>
            <tbody>
              {profile.secrets.map((secret) => (
                <tr key={secret.name}>
                  <th scope="row">{secret.name}</th>
                  <td>
                    <Hint secret={secret} />
                  </td>
                  <td>{secret.updatedAt && <Time at={secret.updatedAt} />}</td>
                  <td>
                    {mayEdit && (
                      <span className="acts">
                        <button type="button" aria-label={`Replace ${secret.name}`} onClick={() => setSetting({ replaced: secret.name })}>
                          Replace
                        </button>
                        <button type="button" aria-label={`Remove ${secret.name}`} onClick={() => setRemoved(secret.name)}>
                          Remove
                        </button>
                      </span>
                    )}
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
      {isSetting && <SecretForm profile={profile} replaced={isSetting.replaced} onSaved={settle} onClose={() => setSetting(null)} />}
      {removed && (
        <ConfirmDialog
          title={`Remove the secret ${removed}`}
          act="Remove it"
          word={removed}
          document={ProfileUpdate}
          variables={{ input: { id: profile.id, removeSecrets: [removed] } }}
          onDone={settle}
          onClose={() => setRemoved(null)}
        >
          <p>Jobs whose command uses it are refused from now on.</p>
        </ConfirmDialog>
      )}
    </Section>
  );
}
