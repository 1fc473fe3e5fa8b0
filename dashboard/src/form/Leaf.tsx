// A field of one value: text, number, one of several values, or JSON.
import { useLayoutEffect, useRef, useState, type ComponentProps } from 'react';
import { CodeEditor, linesIn } from './CodeEditor';
import { ABSENT, type Draft } from './draft';
import { Messages, type FieldProps } from './Form';
import { below, idOf, itemName } from './places';
import type { Field } from './schema';

type LeafField = Extract<Field, { kind: 'text' | 'number' | 'pick' | 'json' }>;

const textOf = (draft: Draft) => ('text' in draft ? draft.text : '');

/** The draft of what was typed. An emptied number or JSON is left out, an emptied text is not. */
function typed(field: LeafField, text: string, isItem: boolean, before: Draft): Draft {
  const { isSecret } = field;
  if (field.kind === 'number') return text === '' && !isItem ? ABSENT : { kind: 'number', text, isInteger: field.isInteger, isSecret };
  if (field.kind === 'json') return text === '' && !isItem ? ABSENT : { kind: 'json', text, isObject: field.isObject, isSecret };
  // A secret cannot be seen, so that an emptied one would be sent unnoticed.
  if (text === '' && !isItem && (isSecret || !(field.kind === 'text' && field.mayBeEmpty) || before.kind === 'absent')) return ABSENT;
  return { kind: 'text', text, isSecret };
}

/** A password field whose text is never an attribute, where React would put it. */
function Secret({ text, onText, ...rest }: ComponentProps<'input'> & { text: string; onText(text: string): void }) {
  const input = useRef<HTMLInputElement>(null);
  useLayoutEffect(() => {
    if (input.current) input.current.value = text;
    // Only what was there before: later on, the field has what is typed.
  }, []);
  return <input ref={input} {...rest} type="password" autoComplete="new-password" onChange={({ target }) => onText(target.value)} />;
}

function Select({ field, draft, onChange, id, describedBy, isWrong, isRequired, isItem }: FieldProps & { field: LeafField & { kind: 'pick' }; id: string; describedBy: string | undefined; isWrong: boolean }) {
  const options = field.options.map(({ value, label }) => ({ key: JSON.stringify(value), value, label }));
  const now = draft.kind === 'null' ? 'null' : draft.kind === 'pick' ? JSON.stringify(draft.value) : '';
  return (
    <select
      id={id}
      value={now}
      aria-describedby={describedBy}
      aria-invalid={isWrong}
      onChange={({ target }) => {
        const found = options.find(({ key }) => key === target.value);
        onChange(found ? { kind: 'pick', value: found.value } : target.value === 'null' ? { kind: 'null' } : ABSENT);
      }}
    >
      {(!isRequired || now === '') && <option value="">{isRequired || isItem ? 'Choose…' : '(left out)'}</option>}
      {options.map(({ key, label }) => (
        <option key={key} value={key}>
          {label}
        </option>
      ))}
      {field.isNullable && <option value="null">null</option>}
    </select>
  );
}

export function Leaf({ field, ...props }: FieldProps & { field: LeafField }) {
  const { draft, path, mistakes, isRequired, isItem = false, onChange } = props;
  // What was typed into a password field is in the page only, so clearing it makes a new one.
  const [turn, setTurn] = useState(0);
  const name = isItem ? itemName(field.title, props.name) : (field.title ?? props.name);
  const id = idOf(path);
  const messages = below(mistakes, path);
  const isWrong = messages.length > 0;
  const hints = field.kind === 'text' ? field.hints : field.kind === 'number' && field.isInteger ? ['whole number'] : [];
  const help = [field.help, hints.length > 0 ? hints.join(', ') : null].filter(Boolean).join(' · ');
  const describedBy = [help && `${id}:help`, isWrong && `${id}:mistakes`].filter(Boolean).join(' ') || undefined;
  const set = (text: string) => onChange(typed(field, text, isItem, draft));
  const clear = (next: Draft) => (setTurn(turn + 1), onChange(next));
  const placeholder = draft.kind === 'null' ? 'null' : draft.kind === 'absent' && !isRequired ? 'left out' : '';
  const common = { id, 'aria-describedby': describedBy, 'aria-invalid': isWrong, placeholder, spellCheck: false } as const;
  const isEmptyText = field.kind === 'text' && draft.kind === 'text' && draft.text === '';
  const control = () => {
    if (field.kind === 'pick') return <Select {...props} field={field} id={id} describedBy={describedBy} isWrong={isWrong} />;
    if (field.isSecret) {
      return <Secret key={turn} {...common} text={textOf(draft)} onText={set} />;
    }
    if (field.kind === 'json' || (field.kind === 'text' && field.shape === 'code')) {
      const isCode = field.kind === 'text';
      return (
        <CodeEditor
          id={id}
          value={textOf(draft)}
          describedBy={describedBy}
          isWrong={isWrong}
          marked={linesIn(messages)}
          rows={isCode ? 10 : 4}
          placeholder={field.kind === 'json' && field.isObject ? '{}' : placeholder}
          onChange={set}
        />
      );
    }
    if (field.kind === 'text' && field.shape === 'lines') return <textarea {...common} rows={3} value={textOf(draft)} onChange={({ target }) => set(target.value)} />;
    return (
      <input
        {...common}
        type="text"
        inputMode={field.kind === 'number' ? 'decimal' : 'text'}
        autoComplete="off"
        value={textOf(draft)}
        onChange={({ target }) => set(target.value)}
      />
    );
  };
  return (
    <div className="form-field" data-item={isItem || undefined}>
      <div className="form-label">
        <label htmlFor={id}>
          {name}
          {isRequired && !isItem && <span className="form-required"> required</span>}
          {field.isSecret && <span className="soft small"> secret</span>}
        </label>
        <span className="form-presence">
          {field.kind === 'text' && draft.kind === 'absent' && field.mayBeEmpty && !isItem && isRequired && !field.isSecret && (
            <button type="button" className="quiet" onClick={() => clear({ kind: 'text', text: '', isSecret: false })} aria-label={`Send empty text for ${name}`}>
              Empty text
            </button>
          )}
          {field.isNullable && draft.kind !== 'null' && field.kind !== 'pick' && (
            <button type="button" className="quiet" onClick={() => clear({ kind: 'null' })} aria-label={`Send null for ${name}`}>
              null
            </button>
          )}
          {draft.kind !== 'absent' && !isItem && field.kind !== 'pick' && (!isRequired || isEmptyText || field.isSecret) && (
            <button type="button" className="quiet" onClick={() => clear(ABSENT)} aria-label={`Leave out ${name}`}>
              Leave out
            </button>
          )}
        </span>
      </div>
      {control()}
      {isEmptyText && !isItem && <p className="soft small">Empty text is sent.</p>}
      {draft.kind === 'null' && <p className="soft small">null is sent.</p>}
      {help && (
        <p className="soft small" id={`${id}:help`}>
          {help}
        </p>
      )}
      <Messages id={`${id}:mistakes`} messages={messages} />
    </div>
  );
}
