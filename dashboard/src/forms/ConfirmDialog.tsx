// Asks before something is done that cannot be undone, with a word typed by hand.
import type { AnyVariables, TypedDocumentNode } from '@urql/core';
import { useState, type ReactNode } from 'react';
import { TextField } from './Fields';
import { FormDialog } from './FormDialog';
import type { Refusal } from './refusals';
import { useSend } from './useSend';

interface Props<Data, Variables extends AnyVariables> {
  title: string;
  act: string;
  /** What has to be typed. */
  word: string;
  document: TypedDocumentNode<Data, Variables>;
  variables: Variables;
  children: ReactNode;
  onDone(): void;
  onClose(): void;
}

export function ConfirmDialog<Data extends Record<string, { userErrors: readonly Refusal[] } | null>, Variables extends AnyVariables>({
  title,
  act,
  word,
  document,
  variables,
  children,
  onDone,
  onClose,
}: Props<Data, Variables>) {
  const [typed, setTyped] = useState('');
  const sending = useSend([]);
  const submit = async () => {
    const { data } = await sending.send(document, variables);
    if (data) onDone();
  };
  return (
    <FormDialog
      title={title}
      act={act}
      busy="Working…"
      isDangerous
      isBusy={sending.isBusy}
      canSend={typed === word}
      mistake={sending.whole}
      onSubmit={() => void submit()}
      onClose={onClose}
    >
      {children}
      <TextField label={`Type ${word} to confirm`} value={typed} onChange={setTyped} isFirst />
    </FormDialog>
  );
}
