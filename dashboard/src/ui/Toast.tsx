// A short message at the bottom that says what has happened.
import { useEffect } from 'react';
import { createStore, useStore } from './store';

const toast = createStore<{ text: string; turn: number } | null>(null);

export function tell(text: string): void {
  toast.set({ text, turn: (toast.get()?.turn ?? 0) + 1 });
}

export function Toast() {
  const shown = useStore(toast);
  useEffect(() => {
    if (!shown) return;
    const timer = setTimeout(() => toast.set(null), 6000);
    return () => clearTimeout(timer);
  }, [shown]);
  return (
    <div className="toast-place" role="status">
      {shown && <p className="toast">{shown.text}</p>}
    </div>
  );
}
