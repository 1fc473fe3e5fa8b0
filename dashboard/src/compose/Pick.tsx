// A list of objects to choose from by name. When there are more than fit, a part of a name narrows
// it.
import { useEffect, useState } from 'react';
import { useAsk } from '../api/ask';
import { idOf } from '../form/places';
import { Messages } from '../form/Form';
import { Pickable, PickedName } from './documents';

export type Catalogue = 'commands' | 'profiles' | 'proxies' | 'services';

const NONE = { commands: false, profiles: false, proxies: false, services: false };

function useSettled(text: string): string {
  const [settled, setSettled] = useState(text);
  useEffect(() => {
    const timer = setTimeout(() => setSettled(text), 200);
    return () => clearTimeout(timer);
  }, [text]);
  return settled;
}

interface Props {
  of: Catalogue;
  label: string;
  /** What is chosen by choosing nothing. */
  none: string;
  value: string | undefined;
  path: readonly string[];
  messages?: readonly string[];
  isRequired?: boolean;
  onChange(id: string | undefined): void;
}

export function Pick({ of, label, none, value, path, messages = [], isRequired = false, onChange }: Props) {
  const [search, setSearch] = useState('');
  const [hasMany, setMany] = useState(false);
  const { data } = useAsk(Pickable, { ...NONE, [of]: true, search: useSettled(search.trim()) || null });
  const found = data?.[of];
  const isListed = found?.nodes.some(({ id }) => id === value) ?? true;
  const { data: other } = useAsk(PickedName, value && !isListed ? { id: value } : null);
  useEffect(() => {
    if (found?.pageInfo.hasNextPage) setMany(true);
  }, [found]);
  const id = idOf(path);
  const isWrong = messages.length > 0;
  const name = other?.node && 'name' in other.node ? other.node.name : value;
  return (
    <div className="form-field">
      <label htmlFor={id}>
        {label}
        {isRequired && <span className="form-required"> required</span>}
      </label>
      {hasMany && <input aria-label={`Part of the name, ${label}`} placeholder="Part of the name" value={search} onChange={({ target }) => setSearch(target.value)} />}
      <select id={id} value={value ?? ''} aria-invalid={isWrong} aria-describedby={isWrong ? `${id}:mistakes` : undefined} onChange={({ target }) => onChange(target.value || undefined)}>
        <option value="">{none}</option>
        {value && !found?.nodes.some((one) => one.id === value) && <option value={value}>{name}</option>}
        {found?.nodes.map((one) => (
          <option key={one.id} value={one.id}>
            {one.name}
          </option>
        ))}
      </select>
      <Messages id={`${id}:mistakes`} messages={messages} />
    </div>
  );
}
