// A plain text area with the numbers of its lines. Tab leaves it, as it leaves every other field.
import { useRef } from 'react';
import '../styles/code.css';

interface Props {
  id: string;
  value: string;
  label?: string;
  describedBy?: string | undefined;
  isWrong?: boolean;
  /** Lines that a message names. */
  marked?: readonly number[];
  rows?: number;
  placeholder?: string;
  onChange(value: string): void;
}

export function CodeEditor({ id, value, label, describedBy, isWrong = false, marked = [], rows = 8, placeholder, onChange }: Props) {
  const gutter = useRef<HTMLDivElement>(null);
  const count = value.split('\n').length;
  const lines = Math.max(rows, Math.min(count, 28));
  return (
    <div className="code-editor">
      <div className="code-numbers" ref={gutter} aria-hidden="true">
        {Array.from({ length: count }, (_, index) => (
          <span key={index} data-marked={marked.includes(index + 1) || undefined}>
            {index + 1}
          </span>
        ))}
      </div>
      <textarea
        id={id}
        className="code-text"
        aria-label={label}
        aria-describedby={describedBy}
        aria-invalid={isWrong}
        value={value}
        rows={lines}
        wrap="off"
        spellCheck={false}
        autoCapitalize="off"
        autoComplete="off"
        placeholder={placeholder}
        onChange={({ target }) => onChange(target.value)}
        onScroll={({ currentTarget }) => {
          if (gutter.current) gutter.current.scrollTop = currentTarget.scrollTop;
        }}
      />
    </div>
  );
}

/** The lines that messages such as "line 3, column 7" name. */
export const linesIn = (messages: readonly string[]): number[] =>
  messages.flatMap((message) => [...message.matchAll(/\bline (\d+)/g)].map((found) => Number(found[1])));
