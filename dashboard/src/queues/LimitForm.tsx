// Changes how many jobs of a queue run at once.
import { useEffect, useId, useState, type FormEvent } from 'react';
import { change } from '../api/ask';
import { tell } from '../ui/Toast';
import { QueueUpdate, type Queue } from './documents';
import { limitOf } from './limit';

interface Props {
  queue: Queue;
  onDone(): void;
}

export function LimitForm({ queue: { name, maxConcurrency, counts }, onDone }: Props) {
  const stored = maxConcurrency === null ? '' : String(maxConcurrency);
  const [text, setText] = useState(stored);
  const [mistake, setMistake] = useState('');
  const [isBusy, setBusy] = useState(false);
  const id = useId();
  // Another person may have changed it.
  useEffect(() => setText(stored), [stored]);
  const submit = async (event: FormEvent) => {
    event.preventDefault();
    const limit = limitOf(text);
    if (limit === undefined) return setMistake('Give a whole number from 1 to 1,000,000, or leave the field empty for no limit.');
    setBusy(true);
    const { data, problem } = await change(QueueUpdate, { input: { name, maxConcurrency: limit } });
    setBusy(false);
    const refused = data?.queueUpdate.userErrors[0]?.message ?? problem?.message ?? '';
    setMistake(refused);
    if (refused) return;
    tell(limit === null ? `${name} has no limit now.` : `At most ${limit.toLocaleString('en')} jobs of ${name} run at once now.`);
    onDone();
  };
  return (
    <form className="limit-form" onSubmit={submit}>
      <label className="field">
        <span>Most jobs that run at once</span>
        <input
          value={text}
          inputMode="numeric"
          autoComplete="off"
          placeholder="no limit"
          aria-invalid={mistake !== ''}
          aria-describedby={`${id}-mistake ${id}-note`}
          onChange={({ target }) => (setText(target.value), setMistake(''))}
        />
      </label>
      <button type="submit" disabled={isBusy || text.trim() === stored}>
        Save
      </button>
      <p id={`${id}-mistake`} className="mistake" role="alert">
        {mistake}
      </p>
      <p id={`${id}-note`} className="soft small">
        {`Empty means no limit. ${counts.running.toLocaleString('en')} run now, and a lower limit is refused.`}
      </p>
    </form>
  );
}
