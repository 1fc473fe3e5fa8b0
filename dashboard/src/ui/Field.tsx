// A field of a form with its label, what to know about it, and why it was refused.
import { useId, type ReactNode } from 'react';

/** What the control of the field takes, so that its label, note and mistake belong to it. */
export interface Control {
  id: string;
  'aria-invalid': boolean;
  'aria-describedby': string;
}

interface Props {
  name: string;
  note?: ReactNode;
  mistake?: string | undefined;
  children(control: Control): ReactNode;
}

export function Field({ name, note, mistake, children }: Props) {
  const id = useId();
  return (
    <div className="field">
      <label htmlFor={id}>{name}</label>
      {children({ id, 'aria-invalid': Boolean(mistake), 'aria-describedby': `${id}-note ${id}-mistake` })}
      <span id={`${id}-note`} className="soft small">
        {note}
      </span>
      <span id={`${id}-mistake`} className="mistake" role="alert">
        {mistake}
      </span>
    </div>
  );
}
