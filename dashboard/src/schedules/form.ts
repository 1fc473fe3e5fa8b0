// The form of a schedule: what was typed, what the API takes, and where its errors belong.
import type { CreateInput, Overlap, ScheduleStored, UpdateInput } from './documents';

export interface Typed {
  name: string;
  command: string;
  cron: string;
  timezone: string;
  overlap: Overlap;
  catchUp: string;
  input: string;
  queue: string;
  priority: string;
  labels: string;
}

export type Field = keyof Typed;
export type Mistakes = Partial<Record<Field | 'form', string>>;

export const OVERLAPS: readonly [Overlap, string][] = [
  ['SKIP', 'skip the run'],
  ['ALLOW', 'enqueue another job'],
  ['CANCEL_RUNNING', 'cancel it, and enqueue another job'],
];

export const CATCH_UPS: readonly [string, string][] = [
  ['PT0S', 'none'],
  ['PT10M', 'those of the last 10 minutes'],
  ['PT1H', 'those of the last hour'],
  ['PT6H', 'those of the last 6 hours'],
  ['P1D', 'those of the last day'],
];

export const emptyForm = (zone: string): Typed => ({
  name: '', command: '', cron: '', timezone: zone, overlap: 'SKIP', catchUp: 'PT0S', input: '', queue: '', priority: '', labels: '',
});

export const formOf = ({ name, cron, timezone, overlap, catchUp, job }: ScheduleStored): Typed => ({
  ...emptyForm(timezone), name, cron, overlap, catchUp, command: job.command.name,
});

/** The input of the job that was typed, or why it is none. Nothing is an empty object. */
export function jobInputOf(text: string): { input: Record<string, unknown> } | { mistake: string } {
  if (text.trim() === '') return { input: {} };
  try {
    const input: unknown = JSON.parse(text);
    if (typeof input === 'object' && input !== null && !Array.isArray(input)) return { input: input as Record<string, unknown> };
  } catch {
    // Said below. The parser's own message would quote the text, which may have a secret.
  }
  return { mistake: 'Give an object in JSON, such as {"path": "/tmp"}, or nothing.' };
}

const labelsOf = (text: string) => [...new Set(text.split(',').map((label) => label.trim()).filter(Boolean))];

export function createInputOf(typed: Typed, commandId: string, input: Record<string, unknown>): CreateInput {
  const { name, cron, timezone, overlap, catchUp, queue, priority, labels } = typed;
  return {
    name: name.trim(),
    cron: cron.trim(),
    timezone: timezone.trim(),
    overlap,
    catchUp,
    job: {
      commandId,
      input,
      labels: labelsOf(labels),
      ...(queue.trim() ? { queue: queue.trim() } : {}),
      ...(priority ? { priority: Number(priority) } : {}),
    },
  };
}

/** Only what was changed, and the version that was read. The job of the schedule stays as it is. */
export function updateInputOf(typed: Typed, { id, version, ...stored }: ScheduleStored): UpdateInput {
  const input: UpdateInput = { id, version };
  if (typed.name.trim() !== stored.name) input.name = typed.name.trim();
  if (typed.cron.trim() !== stored.cron) input.cron = typed.cron.trim();
  if (typed.timezone.trim() !== stored.timezone) input.timezone = typed.timezone.trim();
  if (typed.overlap !== stored.overlap) input.overlap = typed.overlap;
  if (typed.catchUp !== stored.catchUp) input.catchUp = typed.catchUp;
  return input;
}

/** Names of the API that the form calls otherwise. */
const NAMES: Partial<Record<string, Field>> = { commandId: 'command' };
const FIELDS: readonly string[] = Object.keys(emptyForm(''));

/** Puts each error at its field. What belongs to none stands above the form. */
export function mistakesOf(errors: readonly { path: readonly string[]; message: string }[]): Mistakes {
  const found: Mistakes = {};
  for (const { path, message } of errors) {
    const [first = '', ...rest] = path[1] === 'job' ? path.slice(2) : path.slice(1);
    const name = NAMES[first] ?? first;
    const field = FIELDS.includes(name) ? (name as Field) : 'form';
    const text = field === 'input' && rest.length > 0 ? `${rest.join('.')}: ${message}` : message;
    found[field] = found[field] ? `${found[field]} ${text}` : text;
  }
  return found;
}
