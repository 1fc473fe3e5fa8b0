// The form that creates a profile, or edits the one that is given. Secrets have a form of their own.
import { ask, useAsk } from '../api/ask';
import { CAP_COLUMNS, FRESH_CAP } from '../catalog/convert';
import { inWords } from '../forms/edit';
import { AreaField, SelectField, TextField } from '../forms/Fields';
import { FormDialog } from '../forms/FormDialog';
import { PickField } from '../forms/PickField';
import { isStale } from '../forms/refusals';
import { RowsField } from '../forms/RowsField';
import { Stale } from '../forms/Stale';
import { useEdit, type Stored } from '../forms/useEdit';
import { useSend } from '../forms/useSend';
import { tell } from '../ui/Toast';
import { ProfileCreate, ProfilePageQuery, ProfileParts, ProfileUpdate, type ProfileOfPage } from './documents';
import { inputOf, LABELS, SELECTIONS, valuesOf, type ProfileValues } from './values';

const NEW: Stored<ProfileValues> = {
  version: 0,
  values: { name: '', description: '', labels: '', environment: [], serviceIds: [], proxyIds: [], proxySelection: 'FIRST_HEALTHY', caps: [] },
};
const FIELDS = Object.keys(LABELS);
const NOTHING: readonly { id: string; name: string }[] = [];

interface Props {
  profile: ProfileOfPage | null;
  onSaved(id: string): void;
  onClose(): void;
}

export function ProfileForm({ profile, onSaved, onClose }: Props) {
  const edit = useEdit(profile ? valuesOf(profile) : NEW);
  const sending = useSend(FIELDS);
  const { data: parts } = useAsk(ProfileParts, {});
  const { values, set } = edit;
  const services = parts?.services.nodes ?? profile?.services ?? NOTHING;
  const proxies = parts?.proxies.nodes ?? profile?.proxies ?? NOTHING;
  const names = new Map([...services, ...proxies].map(({ id, name }) => [id, name]));
  const wordsOf = (value: unknown) =>
    Array.isArray(value) ? inWords(value.map((one: unknown) => (typeof one === 'string' ? (names.get(one) ?? one) : one))) : inWords(value);
  const create = async () => {
    const { name, ...rest } = inputOf(values);
    const { data } = await sending.send(ProfileCreate, { input: { ...rest, name: name ?? '' } });
    const id = data?.profileCreate.profile?.id;
    if (!id) return;
    tell('The profile is created.');
    onSaved(id);
  };
  const update = async ({ id }: ProfileOfPage) => {
    const { data, refusals } = await sending.send(ProfileUpdate, { input: { id, version: edit.version, ...inputOf(edit.changes) } });
    if (data) {
      tell('The profile is saved.');
      return onSaved(id);
    }
    if (!isStale(refusals)) return;
    const now = (await ask(ProfilePageQuery, { id })).data?.profile;
    if (now) edit.outdatedBy(valuesOf(now));
  };
  return (
    <FormDialog
      title={profile ? `Edit ${profile.name}` : 'New profile'}
      act={profile ? 'Save' : 'Create the profile'}
      isWide
      isBusy={sending.isBusy}
      canSend={!edit.differences && (!profile || Object.keys(edit.changes).length > 0)}
      mistake={edit.differences ? '' : sending.whole}
      onSubmit={() => void (profile ? update(profile) : create())}
      onClose={onClose}
    >
      <Stale edit={edit} labels={LABELS} wordsOf={wordsOf} />
      <TextField label="Name" value={values.name} onChange={(name) => set('name', name)} mistake={sending.at('name')} isRequired isFirst />
      <AreaField label="Description" value={values.description} onChange={(text) => set('description', text)} mistake={sending.at('description')} rows={2} />
      <TextField label="Labels" hint="With commas between." value={values.labels} onChange={(labels) => set('labels', labels)} mistake={sending.at('labels')} />
      <PickField
        legend="Proxies, in order of preference"
        one="proxy"
        options={proxies}
        chosen={values.proxyIds}
        mistake={sending.at('proxyIds')}
        onChange={(ids) => set('proxyIds', ids)}
      />
      <SelectField
        label="Choice of the proxy"
        options={SELECTIONS}
        value={values.proxySelection}
        mistake={sending.at('proxySelection')}
        onChange={(value) => set('proxySelection', value as ProfileValues['proxySelection'])}
      />
      <PickField
        legend="Services"
        one="service"
        options={services}
        chosen={values.serviceIds}
        mistake={sending.at('serviceIds')}
        onChange={(ids) => set('serviceIds', ids)}
      />
      <RowsField
        legend="Environment"
        one="variable"
        hint="Plain variables, which everybody who signs in can read. Secrets have a place of their own."
        columns={[{ name: 'name', label: 'Name' }, { name: 'value', label: 'Value' }]}
        fresh={{ name: '', value: '' }}
        rows={values.environment}
        mistake={sending.at('environment')}
        onChange={(rows) => set('environment', rows)}
      />
      <RowsField
        legend="Caps"
        one="cap"
        hint="How many attempts may start on it in a day or a month."
        columns={CAP_COLUMNS}
        fresh={FRESH_CAP}
        rows={values.caps}
        mistake={sending.at('caps')}
        onChange={(rows) => set('caps', rows)}
      />
    </FormDialog>
  );
}
