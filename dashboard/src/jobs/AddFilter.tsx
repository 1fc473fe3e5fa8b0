// The dialog that adds a filter: what to filter by, and a value of the catalogue or a text.
import { Dialog } from '@base-ui/react/dialog';
import { useState, type FormEvent } from 'react';
import { useAsk } from '../api/ask';
import { Icon } from '../ui/Icon';
import { Choices } from './documents';
import { know } from './names';
import { NODE_FIELDS, TEXT_FIELDS, type JobsSearch, type ListField, type NodeField } from './search';

type Field = ListField | 'from' | 'to';

const FIELDS: readonly [Field, string][] = [
  ...Object.entries(NODE_FIELDS).map(([key, { label }]): [Field, string] => [key as Field, label]),
  ...Object.entries(TEXT_FIELDS).map(([key, { label }]): [Field, string] => [key as Field, label]),
  ['from', 'Created from'],
  ['to', 'Created before'],
];

const isNode = (field: Field): field is NodeField => field in NODE_FIELDS;

interface Choice {
  id: string;
  name: string;
}

function useChoices(field: Field, typed: string): Choice[] {
  const has = (one: Field) => field === one;
  const isListed = isNode(field) || field === 'queue';
  const variables = {
    search: typed.trim(),
    command: has('command'),
    profile: has('profile'),
    proxy: has('proxy'),
    service: has('service'),
    schedule: has('schedule'),
    queue: has('queue'),
  };
  const { data } = useAsk(Choices, isListed ? variables : null);
  if (!data || !isListed) return [];
  if (field === 'queue') return (data.queue ?? []).filter(({ name }) => name.includes(typed.trim()));
  return data[field]?.nodes ?? [];
}

interface Props {
  search: JobsSearch;
  onChange(search: JobsSearch): void;
}

function Form({ search, onChange }: Props) {
  const [field, setField] = useState<Field>('command');
  const [typed, setTyped] = useState('');
  const choices = useChoices(field, typed);
  const isTime = field === 'from' || field === 'to';
  const add = (value: string) => {
    if (field === 'from' || field === 'to') return onChange({ ...search, [field]: new Date(value).toISOString() });
    const added = field === 'id' ? value.split(/[\s,]+/).filter(Boolean) : [value];
    onChange({ ...search, [field]: [...new Set([...(search[field] ?? []), ...added])] });
  };
  const choose = ({ id, name }: Choice) => {
    if (isNode(field)) know(id, name);
    add(isNode(field) ? id : name);
  };
  const submit = (event: FormEvent) => {
    event.preventDefault();
    const text = typed.trim();
    if (!text) return;
    const exact = choices.find(({ name }) => name === text) ?? (isNode(field) ? choices[0] : undefined);
    if (exact) choose(exact);
    else if (!isNode(field)) add(text);
  };
  return (
    <form className="add-filter" onSubmit={submit}>
      <label className="field">
        <span>Filter by</span>
        <select value={field} onChange={({ target }) => (setField(target.value as Field), setTyped(''))}>
          {FIELDS.map(([key, label]) => (
            <option key={key} value={key}>
              {label}
            </option>
          ))}
        </select>
      </label>
      <label className="field">
        <span>Value</span>
        <input
          key={field}
          type={isTime ? 'datetime-local' : 'text'}
          value={typed}
          onChange={({ target }) => setTyped(target.value)}
          placeholder={field === 'id' ? 'job_…, several with spaces between' : ''}
          autoFocus
        />
      </label>
      <ul className="choices-list" aria-label="Values">
        {choices.map((choice) => (
          <li key={choice.id}>
            <button type="button" className="quiet" onClick={() => choose(choice)}>
              {choice.name}
            </button>
          </li>
        ))}
      </ul>
      {isNode(field) && choices.length === 0 && typed && <p className="soft">Nothing has this name.</p>}
      <div className="dialog-foot">
        <Dialog.Close className="button">Close</Dialog.Close>
        <button type="submit" className="primary" disabled={typed.trim() === ''}>
          Add
        </button>
      </div>
    </form>
  );
}

export function AddFilter({ search, onChange }: Props) {
  const [isOpen, setOpen] = useState(false);
  return (
    <Dialog.Root open={isOpen} onOpenChange={setOpen}>
      <Dialog.Trigger>
        <Icon name="filter" />
        Filter
      </Dialog.Trigger>
      <Dialog.Portal>
        <Dialog.Backdrop className="backdrop" />
        <Dialog.Popup className="dialog">
          <Dialog.Title className="dialog-title">Add a filter</Dialog.Title>
          <Form search={search} onChange={(next) => (onChange(next), setOpen(false))} />
        </Dialog.Popup>
      </Dialog.Portal>
    </Dialog.Root>
  );
}
