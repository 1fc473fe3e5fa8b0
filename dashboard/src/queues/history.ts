// The history of queues: how far back, in which steps, and summed over queues.
import { millisecondsOf } from '../ui/time';
import type { QueuePoint } from './documents';

/** How far back a chart shows, as it stands in the address, and the length of its steps. */
export const SPANS = {
  '1h': { name: '1 hour', window: 'PT1H', step: 'PT1M', stepName: 'minute' },
  '6h': { name: '6 hours', window: 'PT6H', step: 'PT5M', stepName: '5 minutes' },
  '1d': { name: '1 day', window: 'P1D', step: 'PT15M', stepName: '15 minutes' },
  '7d': { name: '7 days', window: 'P7D', step: 'PT2H', stepName: '2 hours' },
} as const;

export type Span = keyof typeof SPANS;

export interface SpanSearch {
  span?: Span;
}

export function validSpan(given: Record<string, unknown>): SpanSearch {
  const { span } = given;
  return typeof span === 'string' && Object.hasOwn(SPANS, span) && span !== '1h' ? { span: span as Span } : {};
}

export type Step = Pick<QueuePoint, 'at' | 'enqueued' | 'succeeded' | 'failed' | 'cancelled' | 'queuedDepth'>;

/** Adds up the steps of several queues by their start, because a young queue may have fewer. */
export function sumOf(histories: readonly (readonly Step[])[]): Step[] {
  const sums = new Map<string, Step>();
  for (const { at, enqueued, succeeded, failed, cancelled, queuedDepth } of histories.flat()) {
    const sum = sums.get(at);
    if (!sum) {
      sums.set(at, { at, enqueued, succeeded, failed, cancelled, queuedDepth });
      continue;
    }
    sum.enqueued += enqueued;
    sum.succeeded += succeeded;
    sum.failed += failed;
    sum.cancelled += cancelled;
    sum.queuedDepth += queuedDepth;
  }
  return [...sums.values()].sort((a, b) => a.at.localeCompare(b.at));
}

/** Seconds of a wait, or null when no attempt started. */
export const secondsOf = (wait: string | null) => (wait === null ? null : millisecondsOf(wait) / 1000);

/** One sentence for those who do not see the chart. */
export function inWords(points: readonly Step[], spanName: string): string {
  const total = (field: 'enqueued' | 'succeeded' | 'failed') =>
    points.reduce((sum, point) => sum + point[field], 0).toLocaleString('en');
  return `In the last ${spanName}: ${total('enqueued')} enqueued, ${total('succeeded')} succeeded, ${total('failed')} failed.`;
}
