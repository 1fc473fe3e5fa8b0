// What a command is: the spec of its kind, and the schema of its input.
import { CodeEditor, linesIn } from '../form/CodeEditor';
import type { Draft, Mistake } from '../form/draft';
import { Messages, SchemaForm } from '../form/Form';
import { below, idOf } from '../form/places';
import { SPECS, type Kind } from './specs';

interface SpecProps {
  kind: Kind;
  spec: Draft;
  mistakes: readonly Mistake[];
  onSpec(spec: Draft): void;
}

export function SpecForm({ kind, spec, mistakes, onSpec }: SpecProps) {
  return <SchemaForm key={kind} name="Spec" schema={SPECS[kind]} draft={spec} path={['spec', kind]} mistakes={mistakes} onChange={onSpec} />;
}

interface SchemaProps {
  text: string;
  mistakes: readonly Mistake[];
  onChange(text: string): void;
}

export function SchemaText({ text, mistakes, onChange }: SchemaProps) {
  const messages = below(mistakes, ['inputSchema']);
  const id = idOf(['inputSchema']);
  return (
    <div className="form-field">
      <label htmlFor={id}>Input schema</label>
      <CodeEditor
        id={id}
        value={text}
        rows={6}
        isWrong={messages.length > 0}
        marked={linesIn(messages)}
        describedBy={[`${id}:help`, messages.length > 0 && `${id}:mistakes`].filter(Boolean).join(' ')}
        placeholder="{}"
        onChange={onChange}
      />
      <p className="soft small" id={`${id}:help`}>
        A JSON Schema of an object. Left empty, it accepts any object. Properties marked writeOnly are secrets.
      </p>
      <Messages id={`${id}:mistakes`} messages={messages} />
    </div>
  );
}
