// The form that creates a proxy, or edits the one that is given.
import { ask } from '../api/ask';
import { FRESH_RATE, limitsOf, numberOf, RATE_COLUMNS, rowsOfLimits } from '../catalog/convert';
import { SecretField, secretOf, SelectField, TextField } from '../forms/Fields';
import { FormDialog } from '../forms/FormDialog';
import { isStale } from '../forms/refusals';
import { RowsField, type Row } from '../forms/RowsField';
import { Stale } from '../forms/Stale';
import { useEdit, type Stored } from '../forms/useEdit';
import { useSend } from '../forms/useSend';
import { tell } from '../ui/Toast';
import { ProxyCreate, ProxyPageQuery, ProxyUpdate, type ProxyOfPage } from './documents';

interface ProxyValues {
  name: string;
  protocol: ProxyOfPage['protocol'];
  address: string;
  maxConcurrency: string;
  rateLimits: Row[];
}

const LABELS: Record<keyof ProxyValues, string> = {
  name: 'Name',
  protocol: 'Protocol',
  address: 'Address',
  maxConcurrency: 'Jobs at once',
  rateLimits: 'Rate limits',
};
const FIELDS = [...Object.keys(LABELS), 'username', 'password'];
const NEW: Stored<ProxyValues> = { version: 0, values: { name: '', protocol: 'HTTP', address: '', maxConcurrency: '', rateLimits: [] } };
const PROTOCOLS = [['HTTP', 'HTTP'], ['HTTPS', 'HTTPS'], ['SOCKS5', 'SOCKS5']] as const;

const valuesOf = (proxy: ProxyOfPage): Stored<ProxyValues> => ({
  version: proxy.version,
  values: {
    name: proxy.name,
    protocol: proxy.protocol,
    address: proxy.address,
    maxConcurrency: proxy.maxConcurrency === null ? '' : String(proxy.maxConcurrency),
    rateLimits: rowsOfLimits(proxy.rateLimits),
  },
});

interface Props {
  proxy: ProxyOfPage | null;
  onSaved(id: string): void;
  onClose(): void;
}

export function ProxyForm({ proxy, onSaved, onClose }: Props) {
  const edit = useEdit(proxy ? valuesOf(proxy) : NEW);
  const sending = useSend(FIELDS);
  const { values, set } = edit;
  /** What was typed of the credentials. What was left empty stays as it is. */
  const credentialsIn = (form: HTMLFormElement) => {
    const [username, password] = [secretOf(form, 'username'), secretOf(form, 'password')];
    return { ...(username && { username }), ...(password && { password }) };
  };
  const create = async (form: HTMLFormElement) => {
    const { name, protocol, address } = values;
    const limits = { maxConcurrency: numberOf(values.maxConcurrency), rateLimits: limitsOf(values.rateLimits) };
    const { data } = await sending.send(ProxyCreate, { input: { name, protocol, address, ...limits, ...credentialsIn(form) } });
    const id = data?.proxyCreate.proxy?.id;
    if (!id) return;
    form.reset();
    tell('The proxy is created. Check it before jobs use it.');
    onSaved(id);
  };
  const update = async ({ id }: ProxyOfPage, form: HTMLFormElement) => {
    const { name, address, maxConcurrency, rateLimits } = edit.changes;
    const input = {
      id,
      version: edit.version,
      ...(name !== undefined && { name }),
      ...(address !== undefined && { address }),
      ...(maxConcurrency !== undefined && { maxConcurrency: numberOf(maxConcurrency) }),
      ...(rateLimits !== undefined && { rateLimits: limitsOf(rateLimits) }),
      ...credentialsIn(form),
    };
    const { data, refusals } = await sending.send(ProxyUpdate, { input });
    if (data) {
      form.reset();
      tell('The proxy is saved.');
      return onSaved(id);
    }
    if (!isStale(refusals)) return;
    const now = (await ask(ProxyPageQuery, { id })).data?.proxy;
    if (now) edit.outdatedBy(valuesOf(now));
  };
  const kept = proxy?.hasCredentials ? 'Empty keeps what is set.' : undefined;
  return (
    <FormDialog
      title={proxy ? `Edit ${proxy.name}` : 'New proxy'}
      act={proxy ? 'Save' : 'Create the proxy'}
      isWide
      isBusy={sending.isBusy}
      canSend={!edit.differences}
      mistake={edit.differences ? '' : sending.whole}
      onSubmit={(form) => void (proxy ? update(proxy, form) : create(form))}
      onClose={onClose}
    >
      <Stale edit={edit} labels={LABELS} />
      <TextField label="Name" value={values.name} onChange={(name) => set('name', name)} mistake={sending.at('name')} isRequired isFirst />
      {!proxy && (
        <SelectField
          label="Protocol"
          hint="It cannot be changed later. Browsers cannot use SOCKS5 with a user name."
          options={PROTOCOLS}
          value={values.protocol}
          mistake={sending.at('protocol')}
          onChange={(value) => set('protocol', value as ProxyValues['protocol'])}
        />
      )}
      <TextField
        label="Address"
        placeholder="host:port"
        value={values.address}
        onChange={(address) => set('address', address)}
        mistake={sending.at('address')}
        isRequired
      />
      <SecretField name="username" label="User name" hint={kept ?? 'It goes in and never comes out.'} mistake={sending.at('username')} />
      <SecretField name="password" label="Password" hint={kept ?? 'It goes in and never comes out.'} mistake={sending.at('password')} />
      <TextField
        label="Jobs at once"
        hint="Empty means no limit."
        type="number"
        value={values.maxConcurrency}
        onChange={(most) => set('maxConcurrency', most)}
        mistake={sending.at('maxConcurrency')}
      />
      <RowsField
        legend="Rate limits"
        one="rate limit"
        columns={RATE_COLUMNS}
        fresh={FRESH_RATE}
        rows={values.rateLimits}
        mistake={sending.at('rateLimits')}
        onChange={(rows) => set('rateLimits', rows)}
      />
    </FormDialog>
  );
}
