// The form of a JSON Schema. Every field says whether it is sent, so that what is left out, null
// and empty can be told apart.
import { Icon } from '../ui/Icon';
import { ABSENT, filled, initialOf, itemOf, item, entry, type Draft, type Mistake } from './draft';
import { Leaf } from './Leaf';
import { at, below, idOf, itemName, missing } from './places';
import { describe, hasSecret, type Field, type Schema } from './schema';

export interface FieldProps {
  name: string;
  schema: Schema;
  /** The whole schema, in which references point. */
  root: Schema;
  isRequired: boolean;
  draft: Draft;
  path: readonly string[];
  mistakes: readonly Mistake[];
  /** An item of a list, which can be removed but not left out. */
  isItem?: boolean;
  onChange(draft: Draft): void;
}

type Of<Kind extends Field['kind']> = Extract<Field, { kind: Kind }>;

export function Messages({ id, messages }: { id: string; messages: readonly string[] }) {
  if (messages.length === 0) return null;
  return (
    <ul className="form-mistakes" id={id}>
      {messages.map((message) => (
        <li key={message} className="mistake">
          {message}
        </li>
      ))}
    </ul>
  );
}

function Properties({ field, draft, ...props }: FieldProps & { field: Of<'object'> }) {
  const { root, path, mistakes, onChange } = props;
  const fields = draft.kind === 'object' ? draft.fields : {};
  const rest = draft.kind === 'object' ? draft.rest : ABSENT;
  const isRefused = at(mistakes, path).length > 0;
  const absent = missing(field, draft);
  return (
    <>
      {field.properties.map(({ name, schema, isRequired }) => (
        <FieldView
          key={name}
          name={name}
          schema={schema}
          root={root}
          isRequired={isRequired}
          draft={fields[name] ?? ABSENT}
          path={[...path, name]}
          mistakes={isRefused && absent.includes(name) ? [...mistakes, { path: [...path, name], message: 'This is required.' }] : mistakes}
          onChange={(next) => onChange({ kind: 'object', fields: { ...fields, [name]: next }, rest })}
        />
      ))}
      {field.rest !== null && (
        <FieldView
          name="Other properties"
          schema={{ type: 'object', writeOnly: hasSecret(field.rest, root), description: 'As a JSON object.' }}
          root={root}
          isRequired={false}
          draft={rest}
          path={[...path, '*']}
          mistakes={mistakes}
          onChange={(next) => onChange({ kind: 'object', fields, rest: next })}
        />
      )}
    </>
  );
}

function Items({ field, draft, name, root, path, mistakes, onChange }: FieldProps & { field: Of<'list'> }) {
  const items = draft.kind === 'list' ? draft.items : [];
  const set = (next: typeof items) => onChange({ kind: 'list', items: next });
  return (
    <>
      {items.map((one, index) => (
        <div className="form-item" key={one.id}>
          <FieldView
            name={`${index + 1}`}
            schema={field.items}
            root={root}
            isRequired
            isItem
            draft={one.draft}
            path={[...path, String(index)]}
            mistakes={mistakes}
            onChange={(next) => set(items.map((other) => (other.id === one.id ? { ...other, draft: next } : other)))}
          />
          <button type="button" className="quiet" aria-label={`Remove ${name} ${index + 1}`} title="Remove" onClick={() => set(items.filter(({ id }) => id !== one.id))}>
            <Icon name="close" />
          </button>
        </div>
      ))}
      {items.length === 0 && draft.kind === 'list' && <p className="soft small">An empty list is sent.</p>}
      <button type="button" className="form-add" onClick={() => set([...items, item(itemOf(field.items, root))])}>
        {`Add to ${name}`}
      </button>
    </>
  );
}

function Entries({ field, draft, name, root, path, mistakes, onChange }: FieldProps & { field: Of<'map'> }) {
  const entries = draft.kind === 'map' ? draft.entries : [];
  const set = (next: typeof entries) => onChange({ kind: 'map', entries: next });
  return (
    <>
      {entries.map((one, index) => (
        <div className="form-item form-entry" key={one.id}>
          <label className="form-field">
            <span className="hidden">{`Name ${index + 1} in ${name}`}</span>
            <input
              value={one.name}
              placeholder="Name"
              spellCheck={false}
              onChange={({ target }) => set(entries.map((other) => (other.id === one.id ? { ...other, name: target.value } : other)))}
            />
          </label>
          <FieldView
            name={one.name || `Value ${index + 1}`}
            schema={field.values}
            root={root}
            isRequired
            isItem
            draft={one.draft}
            path={[...path, one.name]}
            mistakes={mistakes}
            onChange={(next) => set(entries.map((other) => (other.id === one.id ? { ...other, draft: next } : other)))}
          />
          <button type="button" className="quiet" aria-label={`Remove ${one.name || index + 1} from ${name}`} title="Remove" onClick={() => set(entries.filter(({ id }) => id !== one.id))}>
            <Icon name="close" />
          </button>
        </div>
      ))}
      {entries.length === 0 && draft.kind === 'map' && <p className="soft small">An empty object is sent.</p>}
      <button type="button" className="form-add" onClick={() => set([...entries, entry('', itemOf(field.values, root))])}>
        {`Add to ${name}`}
      </button>
    </>
  );
}

function Choice({ field, draft, name, root, path, mistakes, isItem, onChange }: FieldProps & { field: Of<'choice'> }) {
  const index = draft.kind === 'choice' ? draft.index : -1;
  const option = field.options[index];
  return (
    <>
      <label className="form-field">
        <span className="hidden">{`Kind of ${name}`}</span>
        <select
          value={index}
          onChange={({ target }) => {
            const next = Number(target.value);
            const chosen = field.options[next];
            onChange(chosen ? { kind: 'choice', index: next, draft: initialOf(chosen.schema, root, true) } : ABSENT);
          }}
        >
          {index < 0 && <option value={-1}>Choose…</option>}
          {field.options.map(({ label }, number) => (
            <option key={label} value={number}>
              {label}
            </option>
          ))}
        </select>
      </label>
      {option && draft.kind === 'choice' && (
        <FieldView
          key={index}
          name={option.label}
          schema={option.schema}
          root={root}
          isRequired
          isItem={isItem ?? true}
          draft={draft.draft}
          path={path}
          mistakes={mistakes}
          onChange={(next) => onChange({ kind: 'choice', index, draft: next })}
        />
      )}
    </>
  );
}

/** A field that has others in it. */
function Group({ field, ...props }: FieldProps & { field: Of<'object' | 'list' | 'map' | 'choice'> }) {
  const { root, draft, path, mistakes, isRequired, isItem, onChange } = props;
  const name = isItem ? itemName(field.title, props.name) : (field.title ?? props.name);
  const id = idOf(path);
  const isThere = draft.kind === field.kind;
  const absent = missing(field, draft);
  const messages = absent.length > 0 ? [] : field.kind === 'choice' && isThere ? [] : isThere ? at(mistakes, path) : below(mistakes, path);
  const add = () => {
    const begun = filled(field, root);
    onChange(begun.kind === 'list' && begun.items.length === 0 && field.kind === 'list' ? { kind: 'list', items: [item(itemOf(field.items, root))] } : begun);
  };
  return (
    <fieldset className="form-group" id={id} aria-describedby={messages.length > 0 ? `${id}:mistakes` : undefined}>
      <legend>
        {name}
        {isRequired && !isItem && <span className="form-required"> required</span>}
      </legend>
      {field.help && <p className="soft small">{field.help}</p>}
      {draft.kind === 'null' && <p className="soft small">null is sent.</p>}
      {isThere && (
        <>
          {field.kind === 'object' && <Properties {...props} name={name} field={field} />}
          {field.kind === 'list' && <Items {...props} name={name} field={field} />}
          {field.kind === 'map' && <Entries {...props} name={name} field={field} />}
          {field.kind === 'choice' && <Choice {...props} name={name} field={field} />}
        </>
      )}
      <div className="form-presence">
        {!isThere && (
          <button type="button" className="form-add" onClick={add}>
            {`Add ${name}`}
          </button>
        )}
        {draft.kind !== 'absent' && !isItem && !isRequired && (
          <button type="button" className="quiet" onClick={() => onChange(ABSENT)}>
            {`Leave out ${name}`}
          </button>
        )}
        {field.isNullable && draft.kind !== 'null' && (
          <button type="button" className="quiet" onClick={() => onChange({ kind: 'null' })}>
            {`Send null for ${name}`}
          </button>
        )}
      </div>
      <Messages id={`${id}:mistakes`} messages={messages} />
    </fieldset>
  );
}

export function FieldView(props: FieldProps) {
  const field = describe(props.schema, props.root);
  if (field.kind === 'object' || field.kind === 'list' || field.kind === 'map' || field.kind === 'choice') return <Group {...props} field={field} />;
  return <Leaf {...props} field={field} />;
}

interface FormProps {
  schema: Schema;
  draft: Draft;
  path: readonly string[];
  mistakes: readonly Mistake[];
  /** What the value as a whole is called where it is one field. */
  name: string;
  onChange(draft: Draft): void;
}

/** The form of a whole value. The properties of an object stand in it directly. */
export function SchemaForm({ schema, draft, path, mistakes, name, onChange }: FormProps) {
  const field = describe(schema, schema);
  const props = { name, schema, root: schema, isRequired: true, draft, path, mistakes, onChange };
  if (field.kind !== 'object') return <FieldView {...props} isRequired={field.kind !== 'json'} />;
  const absent = missing(field, draft);
  return (
    <div className="form" id={idOf(path)}>
      {field.properties.length === 0 && field.rest === null && <p className="soft">It takes no input.</p>}
      <Properties {...props} field={field} />
      <Messages id={`${idOf(path)}:mistakes`} messages={absent.length > 0 ? [] : at(mistakes, path)} />
    </div>
  );
}
