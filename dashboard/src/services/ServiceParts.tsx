// Parts of a service that its card and its page share.
import { useState } from 'react';
import { useCan } from '../app/session';
import { SecretField, secretOf, TextField } from '../forms/Fields';
import { FormDialog } from '../forms/FormDialog';
import { useSend } from '../forms/useSend';
import { Icon } from '../ui/Icon';
import { Sentence, Time, useZone } from '../ui/Time';
import { instantOf } from '../ui/time';
import { tell } from '../ui/Toast';
import { ServiceResume, ServiceTokenRefresh, type ServiceOfCard } from './documents';

/** Why the jobs of the service wait, and what ends it. */
export function Suspended({ service, again }: { service: ServiceOfCard; again(): void }) {
  const mayResume = useCan('serviceResume');
  const sending = useSend([]);
  if (service.suspendedReason === null && service.suspendedUntil === null) return null;
  const resume = async () => {
    const { data } = await sending.send(ServiceResume, { input: { id: service.id } });
    if (!data) return;
    tell(`Jobs that use ${service.name} start again.`);
    again();
  };
  return (
    <div className="banner" role="status" data-suspended="">
      <Icon name="warning" />
      <span>
        <b>{'Suspended. '}</b>
        {service.suspendedReason && <Sentence text={service.suspendedReason} />}
        {service.suspendedUntil ? (
          <>
            {' Its jobs wait until '}
            <Time at={service.suspendedUntil} />.
          </>
        ) : (
          ' Its jobs wait until somebody resumes it.'
        )}
        {sending.whole && ` ${sending.whole}`}
      </span>
      {mayResume && (
        <button type="button" className="quiet" disabled={sending.isBusy} onClick={() => void resume()}>
          Resume
        </button>
      )}
    </div>
  );
}

export function TokenForm({ service, onSaved, onClose }: { service: ServiceOfCard; onSaved(): void; onClose(): void }) {
  const zone = useZone();
  const [expires, setExpires] = useState('');
  const sending = useSend(['token', 'expiresAt']);
  const submit = async (form: HTMLFormElement) => {
    const input = { id: service.id, token: secretOf(form, 'token'), expiresAt: instantOf(expires, zone) };
    const { data } = await sending.send(ServiceTokenRefresh, { input });
    if (!data) return;
    form.reset();
    tell('The token is replaced. Attempts that start from now on get it.');
    onSaved();
  };
  return (
    <FormDialog
      title={`${service.token.isSet ? 'Replace' : 'Set'} the token of ${service.name}`}
      act={service.token.isSet ? 'Replace it' : 'Set it'}
      isBusy={sending.isBusy}
      mistake={sending.whole}
      onSubmit={(form) => void submit(form)}
      onClose={onClose}
    >
      <SecretField
        name="token"
        label="New token"
        hint="It goes in and never comes out. Attempts that run keep the old one."
        mistake={sending.at('token')}
        isRequired
        isFirst
      />
      <TextField
        label="Expires at"
        hint="For information only. Empty means never."
        type="datetime-local"
        value={expires}
        onChange={setExpires}
        mistake={sending.at('expiresAt')}
      />
    </FormDialog>
  );
}
