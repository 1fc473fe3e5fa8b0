// What is sent for a composed form: to preview it, to run it, and to save it.
import { draftOf, initialOf, valueOf, type Draft, type Mistake } from '../form/draft';
import { maskedOf } from '../form/mask';
import { isObject, type Json, type Schema } from '../form/schema';
import type { VariablesOf } from '../graphql';
import type { CommandCreate, JobEnqueue } from './documents';
import type { PlanValue } from './Plan';
import { POLICY, SPECS, type Kind } from './specs';
import type { Chosen } from './Surroundings';
import type { PreviewInput } from './usePreview';
import { instantOf } from './when';

export type JobInput = VariablesOf<typeof JobEnqueue>['input'];
export type CreateInput = VariablesOf<typeof CommandCreate>['input'];

export interface Form {
  name: string;
  description: string;
  spec: Draft;
  schemaText: string;
  input: Draft;
  chosen: Chosen;
  plan: PlanValue;
}

export const EMPTY_PLAN: PlanValue = { queue: '', priority: '', labels: '', isLater: false, at: '', policy: initialOf(POLICY, POLICY, true) };

export interface ParsedSchema {
  schema: Schema;
  mistakes: Mistake[];
}

/** The schema that was typed. Nothing is `{}`, which accepts any object. */
export function parsedSchema(text: string): ParsedSchema {
  if (text.trim() === '') return { schema: {}, mistakes: [] };
  try {
    const found: unknown = JSON.parse(text);
    if (isObject(found)) return { schema: found, mistakes: [] };
    return { schema: {}, mistakes: [{ path: ['inputSchema'], message: 'Write a JSON object, as in {"type": "object"}.' }] };
  } catch (error) {
    return { schema: {}, mistakes: [{ path: ['inputSchema'], message: `This is not JSON: ${String((error as Error).message)}.` }] };
  }
}

/** The schema of an input is that of an object, whether it says so or not. */
export const inputSchemaOf = (schema: Schema): Schema => (isObject(schema) && schema.type === undefined ? { ...schema, type: 'object' } : schema);

/** What was filled in, under another schema. What fits neither is lost. */
export function refit(input: Draft, schema: Schema): Draft {
  const { value } = valueOf(input);
  const begun = initialOf(schema, schema, true);
  const known = draftOf(schema, schema, value);
  if (begun.kind !== 'object' || known.kind !== 'object') return known.kind === 'absent' ? begun : known;
  const fields = Object.fromEntries(
    Object.entries(known.fields).map(([name, draft]) => [name, draft.kind === 'absent' ? (begun.fields[name] ?? draft) : draft]),
  );
  return { ...known, fields };
}

interface Parts {
  mistakes: readonly Mistake[];
  input: Json | undefined;
  spec: Json | undefined;
  policy: Json | undefined;
}

export function partsOf(form: Form, isDraft: boolean): Parts {
  const input = valueOf(form.input, ['input']);
  const spec = isDraft ? valueOf(form.spec, ['spec']) : { value: undefined, mistakes: [] };
  const policy = valueOf(form.plan.policy, ['policy']);
  return {
    mistakes: [...input.mistakes, ...spec.mistakes, ...policy.mistakes, ...(isDraft ? parsedSchema(form.schemaText).mistakes : [])],
    input: input.value,
    spec: spec.value,
    policy: isObject(policy.value) && Object.keys(policy.value).length > 0 ? policy.value : undefined,
  };
}

type Specs = NonNullable<PreviewInput['spec']>;

/**
 * The spec as the API takes it. The server says what it lacks, so a text that must be there is
 * sent empty.
 */
export function specOf(kind: Kind, value: Json | undefined): Specs {
  const required = SPECS[kind].required.map((name): [string, Json] => [name, '']);
  return { [kind]: { ...Object.fromEntries(required), ...(isObject(value) ? value : {}) } } as unknown as Specs;
}

function chosenOf({ profileId, proxyId, serviceIds }: Chosen) {
  return { ...(profileId ? { profileId } : {}), ...(proxyId ? { proxyId } : {}), ...(serviceIds ? { serviceIds: [...serviceIds] } : {}) };
}

/** With a schema, its secrets are `***`. */
export function previewOf(form: Form, what: { commandId: string } | { kind: Kind }, masked?: Schema): PreviewInput {
  const isDraft = 'kind' in what;
  const { input: filledIn, spec } = partsOf(form, isDraft);
  const input = masked === undefined ? filledIn : maskedOf(masked, masked, form.input);
  const base = { ...(input === undefined ? {} : { input }), ...chosenOf(form.chosen) };
  if (!isDraft) return { commandId: what.commandId, ...base };
  return { spec: specOf(what.kind, spec), inputSchema: parsedSchema(form.schemaText).schema, ...base };
}

export const labelsOf = (text: string): string[] => text.split(',').map((one) => one.trim()).filter(Boolean);

/** The job to enqueue, and what is not whole yet. */
export function jobOf(form: Form, commandId: string, idempotencyKey: string, zone: string | undefined): { input: JobInput; mistakes: readonly Mistake[] } {
  const { input, policy, mistakes } = partsOf(form, false);
  const { queue, priority, labels, isLater, at } = form.plan;
  const runAt = isLater ? instantOf(at, zone) : null;
  const late = isLater && runAt === null ? [{ path: ['runAt'], message: 'Choose a date and a time.' }] : [];
  return {
    mistakes: [...mistakes, ...late],
    input: {
      commandId,
      idempotencyKey,
      ...(input === undefined ? {} : { input }),
      ...chosenOf(form.chosen),
      ...(queue.trim() ? { queue: queue.trim() } : {}),
      ...(priority ? { priority: Number(priority) } : {}),
      ...(labelsOf(labels).length > 0 ? { labels: labelsOf(labels) } : {}),
      ...(runAt ? { runAt } : {}),
      ...(policy === undefined ? {} : { policy: policy as JobInput['policy'] }),
    } as JobInput,
  };
}

export function createOf(form: Form, kind: Kind): CreateInput {
  const { spec, policy } = partsOf(form, true);
  const { name, description, schemaText, plan } = form;
  return {
    name: name.trim(),
    spec: specOf(kind, spec),
    inputSchema: parsedSchema(schemaText).schema,
    ...(description.trim() ? { description: description.trim() } : {}),
    ...chosenOf(form.chosen),
    ...(plan.queue.trim() ? { queue: plan.queue.trim() } : {}),
    ...(policy === undefined ? {} : { policy: policy as CreateInput['policy'] }),
  } as CreateInput;
}
