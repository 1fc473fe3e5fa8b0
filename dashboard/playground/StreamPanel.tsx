// The panel below the response: the state of the running subscription, and its earlier messages,
// because GraphiQL shows only the newest one.
import { useState, useSyncExternalStore } from 'react';
import type { StreamEvents, StreamState } from './stream';

const KEPT = 200;
const ENDED: StreamState[] = ['complete', 'stopped', 'failed'];

interface Stream {
  state: StreamState;
  detail: string;
  count: number;
  messages: { number: number; at: Date; text: string }[];
}

export class StreamLog implements StreamEvents {
  private stream: Stream | null = null;
  private listeners = new Set<() => void>();

  state(state: StreamState, detail = ''): void {
    const isNew = state === 'connecting' || this.stream === null;
    this.set({ ...(isNew ? { count: 0, messages: [] } : this.stream!), state, detail });
  }

  message(result: unknown): void {
    const stream = this.stream;
    if (!stream) return;
    const count = stream.count + 1;
    const entry = { number: count, at: new Date(), text: JSON.stringify((result as any)?.data ?? result) };
    this.set({ ...stream, count, messages: [entry, ...stream.messages].slice(0, KEPT) });
  }

  clear(): void {
    if (this.stream && ENDED.includes(this.stream.state)) this.set(null);
  }

  private set(stream: Stream | null): void {
    this.stream = stream;
    this.listeners.forEach((listener) => listener());
  }

  subscribe = (listener: () => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };

  snapshot = () => this.stream;
}

const WORDS: Record<StreamState, string> = {
  connecting: 'Connecting',
  live: 'Live',
  reconnecting: 'Connection lost, reconnecting',
  complete: 'Complete, ended by the server',
  stopped: 'Stopped',
  failed: 'Failed',
};

export function StreamPanel({ log }: { log: StreamLog }) {
  const stream = useSyncExternalStore(log.subscribe, log.snapshot);
  const [isOpen, setOpen] = useState(false);
  if (!stream) return null;
  const { state, detail, count, messages } = stream;
  return (
    <section className="stream" data-state={state} aria-label="Subscription">
      <p className="stream-line">
        <span className="dot" aria-hidden="true" />
        <span role="status">
          {WORDS[state]}
          {detail && `: ${detail}`}
        </span>
        <span className="stream-count">
          {count} {count === 1 ? 'message' : 'messages'}
        </span>
        <button type="button" aria-expanded={isOpen} disabled={count === 0} onClick={() => setOpen(!isOpen)}>
          {isOpen ? 'Hide all' : 'Show all'}
        </button>
      </p>
      {isOpen && (
        <ol className="stream-messages" tabIndex={0} aria-label={`The last ${messages.length} messages, newest first`}>
          {messages.map((message) => (
            <li key={message.number}>
              <span className="stream-number">{message.number}</span>
              <time dateTime={message.at.toISOString()}>{message.at.toISOString().slice(11, 23)}</time>
              <code>{message.text}</code>
            </li>
          ))}
        </ol>
      )}
    </section>
  );
}
