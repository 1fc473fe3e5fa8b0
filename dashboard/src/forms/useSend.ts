// Sends a form's mutation, and keeps why it was refused.
import type { AnyVariables, TypedDocumentNode } from '@urql/core';
import { useState } from 'react';
import { change } from '../api/ask';
import { mistakeAt, mistakeOfWhole, type Refusal } from './refusals';

type Payloads = Record<string, { userErrors: readonly Refusal[] } | null>;

export interface Sending {
  isBusy: boolean;
  /** What is said at a field. */
  at(field: string): string;
  /** What is said below the form. */
  whole: string;
  send<Data extends Payloads, Variables extends AnyVariables>(
    document: TypedDocumentNode<Data, Variables>,
    variables: Variables,
  ): Promise<{ data: Data | null; refusals: readonly Refusal[] }>;
  /** Refuses the form before it is sent. */
  refuse(refusals: readonly Refusal[]): void;
}

/** `fields` are those of the form: a reason at another place is said below it. */
export function useSend(fields: readonly string[]): Sending {
  const [isBusy, setBusy] = useState(false);
  const [refusals, setRefusals] = useState<readonly Refusal[]>([]);
  return {
    isBusy,
    at: (field) => mistakeAt(refusals, field),
    whole: mistakeOfWhole(refusals, fields),
    refuse: setRefusals,
    async send(document, variables) {
      setBusy(true);
      const { data, problem } = await change(document, variables);
      setBusy(false);
      const payload = data ? Object.values(data)[0] : null;
      const found = problem ? [{ code: problem.code, message: problem.message, path: ['input'] }] : (payload?.userErrors ?? []);
      setRefusals(found);
      return { data: found.length > 0 ? null : data, refusals: found };
    },
  };
}
