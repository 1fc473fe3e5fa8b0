// When and how a job runs: queue, priority, labels, time and policy. A draft has no time yet.
import { useAsk } from '../api/ask';
import type { Draft, Mistake } from '../form/draft';
import { Messages, SchemaForm } from '../form/Form';
import { below, idOf } from '../form/places';
import { useZone } from '../ui/Time';
import { QueueNames } from './documents';
import { POLICY } from './specs';

export interface PlanValue {
  queue: string;
  priority: string;
  labels: string;
  isLater: boolean;
  /** In the chosen zone, as `2026-11-22T17:30`. */
  at: string;
  policy: Draft;
}

interface TextProps {
  label: string;
  path: readonly string[];
  value: string;
  mistakes: readonly Mistake[];
  placeholder?: string | undefined;
  type?: string;
  list?: string;
  isRequired?: boolean;
  onChange(value: string): void;
}

export function TextField({ label, path, value, mistakes, placeholder, type = 'text', list, isRequired, onChange }: TextProps) {
  const id = idOf(path);
  const messages = below(mistakes, path);
  const isWrong = messages.length > 0;
  return (
    <div className="form-field">
      <label htmlFor={id}>
        {label}
        {isRequired && <span className="form-required"> required</span>}
      </label>
      <input
        id={id}
        type={type}
        list={list}
        value={value}
        placeholder={placeholder}
        autoComplete="off"
        spellCheck={false}
        aria-invalid={isWrong}
        aria-describedby={isWrong ? `${id}:mistakes` : undefined}
        onChange={({ target }) => onChange(target.value)}
      />
      <Messages id={`${id}:mistakes`} messages={messages} />
    </div>
  );
}

interface Props {
  value: PlanValue;
  queue: string | undefined;
  isDraft: boolean;
  mistakes: readonly Mistake[];
  onChange(value: PlanValue): void;
}

export function Plan({ value, queue, isDraft, mistakes, onChange }: Props) {
  const zone = useZone();
  const { data } = useAsk(QueueNames, {});
  const id = idOf(['runAt']);
  const messages = below(mistakes, ['runAt']);
  return (
    <>
      <div className="form-columns">
        <TextField label="Queue" path={['queue']} value={value.queue} mistakes={mistakes} placeholder={queue ?? 'default'} list="queues" onChange={(next) => onChange({ ...value, queue: next })} />
        <datalist id="queues">
          {data?.queues.map((one) => (
            <option key={one.id} value={one.name} />
          ))}
        </datalist>
        {!isDraft && (
          <div className="form-field">
            <label htmlFor={idOf(['priority'])}>Priority</label>
            <select id={idOf(['priority'])} value={value.priority} onChange={({ target }) => onChange({ ...value, priority: target.value })}>
              {Array.from({ length: 10 }, (_, index) => 9 - index).map((one) => (
                <option key={one} value={one === 4 ? '' : one}>
                  {one === 9 ? '9, first' : one === 4 ? '4, as usual' : one === 0 ? '0, last' : one}
                </option>
              ))}
            </select>
          </div>
        )}
      </div>
      {!isDraft && (
        <>
          <TextField label="Labels" path={['labels']} value={value.labels} mistakes={mistakes} placeholder="Separated by commas" onChange={(labels) => onChange({ ...value, labels })} />
          <fieldset className="form-group">
            <legend>When</legend>
            <label>
              <input type="radio" name="when" checked={!value.isLater} onChange={() => onChange({ ...value, isLater: false })} />
              As soon as it may
            </label>
            <label>
              <input type="radio" name="when" checked={value.isLater} onChange={() => onChange({ ...value, isLater: true })} />
              {`Not before (${zone ?? 'local time'})`}
            </label>
            {value.isLater && (
              <input id={id} type="datetime-local" aria-label="Not before" value={value.at} aria-invalid={messages.length > 0} aria-describedby={messages.length > 0 ? `${id}:mistakes` : undefined} onChange={({ target }) => onChange({ ...value, at: target.value })} />
            )}
            <Messages id={`${id}:mistakes`} messages={messages} />
          </fieldset>
        </>
      )}
      <details className="form-more">
        <summary>Policy</summary>
        <p className="soft small">{isDraft ? 'What is left out takes its default.' : 'What is left out is as the command says.'}</p>
        <SchemaForm name="Policy" schema={POLICY} draft={value.policy} path={['policy']} mistakes={mistakes} onChange={(policy) => onChange({ ...value, policy })} />
      </details>
    </>
  );
}
