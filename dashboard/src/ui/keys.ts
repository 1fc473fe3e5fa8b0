// Keys of a page. They do nothing while somebody types or a dialog is open.
import { useEffect, useRef } from 'react';

export type Keys = Record<string, (event: KeyboardEvent) => void>;

function isBusy(target: EventTarget | null): boolean {
  if (!(target instanceof HTMLElement)) return false;
  const isText = target instanceof HTMLInputElement && target.type !== 'checkbox' && target.type !== 'radio';
  return isText || target instanceof HTMLTextAreaElement || target instanceof HTMLSelectElement || target.isContentEditable;
}

/** How long the second key of `g j` may take. */
const CHORD = 1500;

/** Listens to keys such as `j`, `/` or `g j`. */
export function useKeys(keys: Keys): void {
  const current = useRef(keys);
  current.current = keys;
  useEffect(() => {
    let first = { key: '', at: 0 };
    const onKey = (event: KeyboardEvent) => {
      if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
      if (isBusy(event.target) || document.querySelector('[role=dialog]')) return;
      const chord = Date.now() - first.at < CHORD ? `${first.key} ${event.key}` : '';
      first = { key: event.key, at: event.timeStamp ? Date.now() : 0 };
      const handler = current.current[chord] ?? (chord.startsWith('g ') ? undefined : current.current[event.key]);
      if (!handler) return;
      event.preventDefault();
      handler(event);
    };
    addEventListener('keydown', onKey);
    return () => removeEventListener('keydown', onKey);
  }, []);
}
