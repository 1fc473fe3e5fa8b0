// A command as a form, and the changes of that form as the API takes them.
import { draftOf, valueOf } from '../form/draft';
import { isObject, type Json, type Schema } from '../form/schema';
import { initialOf } from '../form/draft';
import type { VariablesOf } from '../graphql';
import { EMPTY_PLAN, inputSchemaOf, parsedSchema, specOf, type Form } from '../compose/request';
import { POLICY, SPECS, specInputOf, type Kind } from '../compose/specs';
import type { CommandOfPage, CommandUpdate } from './documents';

export type UpdateInput = VariablesOf<typeof CommandUpdate>['input'];

export interface EditForm extends Form {
  kind: Kind;
  isPrivate: boolean;
}

/** A policy as its form shows it: no limit and no expiry are left out. */
function policyValue(policy: CommandOfPage['policy']): Json {
  return Object.fromEntries(Object.entries(policy).filter(([, value]) => value !== null && !(Array.isArray(value) && value.length === 0))) as Json;
}

export function formOf(command: CommandOfPage): EditForm {
  const { kind, value } = specInputOf(command.spec);
  const schema = inputSchemaOf(command.inputSchema as Schema);
  const hasSchema = isObject(command.inputSchema) && Object.keys(command.inputSchema).length > 0;
  return {
    kind,
    isPrivate: command.isPrivate,
    name: command.name,
    description: command.description ?? '',
    spec: draftOf(SPECS[kind], SPECS[kind], value),
    schemaText: hasSchema ? JSON.stringify(command.inputSchema, null, 2) : '',
    input: initialOf(schema, schema, true),
    chosen: {
      profileId: command.profile?.id,
      proxyId: command.proxy?.id,
      serviceIds: command.services.length > 0 ? command.services.map(({ id }) => id) : undefined,
    },
    plan: { ...EMPTY_PLAN, queue: command.queue, policy: draftOf(POLICY, POLICY, policyValue(command.policy)) },
  };
}

/** Every field of the form as the API takes it. */
export function fieldsOf(form: EditForm): { [field: string]: Json } {
  const { chosen, plan } = form;
  return {
    name: form.name.trim(),
    description: form.description.trim() || null,
    queue: plan.queue.trim() || null,
    isPrivate: form.isPrivate,
    spec: specOf(form.kind, valueOf(form.spec).value) as Json,
    inputSchema: parsedSchema(form.schemaText).schema as Json,
    policy: valueOf(plan.policy).value ?? {},
    profileId: chosen.profileId ?? null,
    proxyId: chosen.proxyId ?? null,
    serviceIds: chosen.serviceIds ? [...chosen.serviceIds] : null,
  };
}

/** What differs. A field that was there and is left out now becomes null, which is its default. */
function difference(before: Json, after: Json): Json | undefined {
  if (JSON.stringify(before) === JSON.stringify(after)) return undefined;
  if (!isObject(before) || !isObject(after)) return after;
  const names = [...new Set([...Object.keys(before), ...Object.keys(after)])];
  const found = names.flatMap((name): [string, Json][] => {
    if (!(name in after)) return [[name, null]];
    const one = name in before ? difference(before[name] as Json, after[name] as Json) : (after[name] as Json);
    return one === undefined ? [] : [[name, one]];
  });
  return found.length > 0 ? Object.fromEntries(found) : undefined;
}

/** The fields that were changed. A policy is changed in parts, everything else as a whole. */
export function changesOf(before: EditForm, after: EditForm): { [field: string]: Json } {
  const old = fieldsOf(before);
  const found = Object.entries(fieldsOf(after)).flatMap(([name, value]): [string, Json][] => {
    if (JSON.stringify(old[name]) === JSON.stringify(value)) return [];
    const part = name === 'policy' ? difference(old[name] ?? {}, value) : value;
    return part === undefined ? [] : [[name, part]];
  });
  return Object.fromEntries(found);
}

export interface Conflict {
  field: string;
  mine: string;
  stored: string;
}

const pretty = (value: Json | undefined) => (typeof value === 'string' ? value : JSON.stringify(value ?? null, null, 2));

/** The fields that differ from what is stored now. */
export function conflictsOf(mine: EditForm, stored: EditForm): Conflict[] {
  const theirs = fieldsOf(stored);
  return Object.entries(fieldsOf(mine))
    .filter(([field, value]) => JSON.stringify(theirs[field]) !== JSON.stringify(value))
    .map(([field, value]) => ({ field, mine: pretty(value), stored: pretty(theirs[field]) }));
}
