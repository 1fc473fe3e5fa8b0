// The form that creates a service, or edits the one that is given. The token of an existing one has
// a form of its own.
import { ask } from '../api/ask';
import { CAP_COLUMNS, FRESH_CAP, FRESH_RATE, RATE_COLUMNS } from '../catalog/convert';
import { AreaField, SecretField, secretOf, TextField } from '../forms/Fields';
import { FormDialog } from '../forms/FormDialog';
import { isStale } from '../forms/refusals';
import { RowsField } from '../forms/RowsField';
import { Stale } from '../forms/Stale';
import { useEdit, type Stored } from '../forms/useEdit';
import { useSend } from '../forms/useSend';
import { tell } from '../ui/Toast';
import { ServiceCreate, ServicePageQuery, ServiceUpdate, type ServiceOfPage } from './documents';
import { inputOf, isJson, LABELS, valuesOf, type ServiceValues } from './values';

const NEW: Stored<ServiceValues> = {
  version: 0,
  values: { name: '', baseUrl: '', tokenHosts: '', maxConcurrency: '', rateLimits: [], caps: [], settings: '{}' },
};
const FIELDS = [...Object.keys(LABELS), 'token'];
const NOT_JSON = { code: 'INVALID', message: 'This is not JSON. Write an object such as {"region": "eu"}.', path: ['input', 'settings'] };

interface Props {
  service: ServiceOfPage | null;
  onSaved(id: string): void;
  onClose(): void;
}

export function ServiceForm({ service, onSaved, onClose }: Props) {
  const edit = useEdit(service ? valuesOf(service) : NEW);
  const sending = useSend(FIELDS);
  const { values, set } = edit;
  const create = async (form: HTMLFormElement) => {
    const { name, ...rest } = inputOf(values);
    const input = { ...rest, name: name ?? '', token: secretOf(form, 'token') || null };
    const { data } = await sending.send(ServiceCreate, { input });
    const id = data?.serviceCreate.service?.id;
    if (!id) return;
    form.reset();
    tell('The service is created.');
    onSaved(id);
  };
  const update = async ({ id }: ServiceOfPage) => {
    const { data, refusals } = await sending.send(ServiceUpdate, { input: { id, version: edit.version, ...inputOf(edit.changes) } });
    if (data) {
      tell('The service is saved.');
      return onSaved(id);
    }
    if (!isStale(refusals)) return;
    const now = (await ask(ServicePageQuery, { id })).data?.service;
    if (now) edit.outdatedBy(valuesOf(now));
  };
  const submit = (form: HTMLFormElement) => {
    if (!isJson(values.settings)) return sending.refuse([NOT_JSON]);
    void (service ? update(service) : create(form));
  };
  return (
    <FormDialog
      title={service ? `Edit ${service.name}` : 'New service'}
      act={service ? 'Save' : 'Create the service'}
      isWide
      isBusy={sending.isBusy}
      canSend={!edit.differences && (!service || Object.keys(edit.changes).length > 0)}
      mistake={edit.differences ? '' : sending.whole}
      onSubmit={submit}
      onClose={onClose}
    >
      <Stale edit={edit} labels={LABELS} />
      <TextField
        label="Name"
        hint="Templates use it: services.NAME.token."
        value={values.name}
        onChange={(name) => set('name', name)}
        mistake={sending.at('name')}
        isRequired
        isFirst
      />
      <TextField label="Base URL" placeholder="https://api.example.com" value={values.baseUrl} onChange={(url) => set('baseUrl', url)} mistake={sending.at('baseUrl')} />
      {!service && <SecretField name="token" label="Token" hint="It goes in and never comes out." mistake={sending.at('token')} />}
      <TextField
        label="Further hosts of the token"
        hint="Where HTTP commands may send it beside the base URL, with commas between."
        value={values.tokenHosts}
        onChange={(hosts) => set('tokenHosts', hosts)}
        mistake={sending.at('tokenHosts')}
      />
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
        hint="So many jobs per period, such as 60 per PT1M, and how many may start at once after a pause."
        columns={RATE_COLUMNS}
        fresh={FRESH_RATE}
        rows={values.rateLimits}
        mistake={sending.at('rateLimits')}
        onChange={(rows) => set('rateLimits', rows)}
      />
      <RowsField
        legend="Caps"
        one="cap"
        hint="How many attempts that use it may start in a day or a month."
        columns={CAP_COLUMNS}
        fresh={FRESH_CAP}
        rows={values.caps}
        mistake={sending.at('caps')}
        onChange={(rows) => set('caps', rows)}
      />
      <AreaField
        label="Settings"
        hint="A JSON object, shown in plain text to everybody who signs in. Keep secrets out of it."
        value={values.settings}
        onChange={(settings) => set('settings', settings)}
        mistake={sending.at('settings')}
        rows={4}
      />
    </FormDialog>
  );
}
