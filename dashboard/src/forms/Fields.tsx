// Fields of forms: a label, a field, what it is for, and why it was refused.
import { useId, type ReactNode } from 'react';

interface Common {
  label: string;
  hint?: ReactNode;
  mistake?: string | undefined;
}

interface Ids {
  id: string;
  'aria-describedby': string | undefined;
  'aria-invalid': true | undefined;
}

/** Puts the parts around any field, which takes the ids that tie them together. */
export function Field({ label, hint, mistake, children }: Common & { children: (ids: Ids) => ReactNode }) {
  const id = useId();
  const described = [hint && `${id}-hint`, mistake && `${id}-mistake`].filter(Boolean).join(' ');
  return (
    <div className="field">
      <label htmlFor={id}>{label}</label>
      {children({ id, 'aria-describedby': described || undefined, 'aria-invalid': mistake ? true : undefined })}
      {hint && (
        <span className="soft small" id={`${id}-hint`}>
          {hint}
        </span>
      )}
      {mistake && (
        <span className="mistake" id={`${id}-mistake`} role="alert">
          {mistake}
        </span>
      )}
    </div>
  );
}

interface TextProps extends Common {
  value: string;
  onChange(value: string): void;
  isRequired?: boolean;
  isFirst?: boolean;
  type?: 'text' | 'number' | 'datetime-local';
  placeholder?: string;
}

export function TextField({ value, onChange, isRequired, isFirst, type = 'text', placeholder, ...common }: TextProps) {
  return (
    <Field {...common}>
      {(ids) => (
        <input
          {...ids}
          type={type}
          value={value}
          required={isRequired}
          autoFocus={isFirst}
          autoComplete="off"
          placeholder={placeholder}
          onChange={({ target }) => onChange(target.value)}
        />
      )}
    </Field>
  );
}

export function AreaField({ value, onChange, rows = 3, ...common }: Common & { value: string; onChange(value: string): void; rows?: number }) {
  return (
    <Field {...common}>
      {(ids) => <textarea {...ids} rows={rows} value={value} spellCheck={false} onChange={({ target }) => onChange(target.value)} />}
    </Field>
  );
}

interface SelectProps extends Common {
  value: string;
  onChange(value: string): void;
  options: readonly (readonly [value: string, name: string])[];
}

export function SelectField({ value, onChange, options, ...common }: SelectProps) {
  return (
    <Field {...common}>
      {(ids) => (
        <select {...ids} value={value} onChange={({ target }) => onChange(target.value)}>
          {options.map(([key, name]) => (
            <option key={key} value={key}>
              {name}
            </option>
          ))}
        </select>
      )}
    </Field>
  );
}

/**
 * A secret, which goes in and never comes out: React does not hold it, so that it stands in no
 * attribute, and the form reads it with `secretOf` when it is sent.
 */
export function SecretField({ name, isRequired, isFirst, ...common }: Common & { name: string; isRequired?: boolean; isFirst?: boolean }) {
  return (
    <Field {...common}>
      {(ids) => <input {...ids} type="password" name={name} required={isRequired} autoFocus={isFirst} autoComplete="off" spellCheck={false} />}
    </Field>
  );
}

export function secretOf(form: HTMLFormElement, name: string): string {
  const found = new FormData(form).get(name);
  return typeof found === 'string' ? found : '';
}
