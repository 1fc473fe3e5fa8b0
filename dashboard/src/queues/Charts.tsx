// The charts of one queue or of all: what came and went, and what was ready.
import { useMemo } from 'react';
import { Chart, type Line } from '../ui/Chart';
import { lengthOf } from '../ui/time';
import type { QueuePoint } from './documents';
import { inWords, secondsOf, SPANS, type Span, type Step } from './history';

const writeSeconds = (seconds: number) => lengthOf(seconds * 1000);

function useAt(points: readonly { at: string }[]): string[] {
  return useMemo(() => points.map(({ at }) => at), [points]);
}

export function Throughput({ points, span }: { points: readonly Step[]; span: Span }) {
  const at = useAt(points);
  const { name, stepName } = SPANS[span];
  const lines = useMemo((): Line[] => {
    const of = (field: 'enqueued' | 'succeeded' | 'failed' | 'cancelled') => points.map((point) => point[field]);
    return [
      { name: 'Enqueued', colour: '--accent', values: of('enqueued'), isFilled: true, isWhole: true },
      { name: 'Succeeded', colour: '--good', values: of('succeeded'), isWhole: true },
      { name: 'Failed', colour: '--bad', values: of('failed'), dash: 'long', isWhole: true },
      { name: 'Cancelled', colour: '--ink-soft', values: of('cancelled'), dash: 'short', isWhole: true },
    ];
  }, [points]);
  return <Chart title={`Jobs per ${stepName}`} summary={inWords(points, name)} at={at} lines={lines} />;
}

export function Depth({ points, span }: { points: readonly Step[]; span: Span }) {
  const at = useAt(points);
  const lines = useMemo(
    (): Line[] => [{ name: 'Queued', colour: '--run', values: points.map(({ queuedDepth }) => queuedDepth), isFilled: true, isWhole: true }],
    [points],
  );
  const most = Math.max(0, ...points.map(({ queuedDepth }) => queuedDepth));
  const summary = `Queued jobs over the last ${SPANS[span].name}: at most ${most.toLocaleString('en')}, now ${points.at(-1)?.queuedDepth ?? 0}.`;
  return <Chart title="Queued jobs" summary={summary} at={at} lines={lines} />;
}

export function Waits({ points, span }: { points: readonly QueuePoint[]; span: Span }) {
  const at = useAt(points);
  const lines = useMemo(
    (): Line[] => [
      { name: 'Median (p50)', colour: '--accent', values: points.map(({ p50Wait }) => secondsOf(p50Wait)) },
      { name: '95th percentile (p95)', colour: '--warn', values: points.map(({ p95Wait }) => secondsOf(p95Wait)), dash: 'long' },
    ],
    [points],
  );
  const longest = Math.max(0, ...points.map(({ p95Wait }) => secondsOf(p95Wait) ?? 0));
  const summary = `Waits from queued to started over the last ${SPANS[span].name}: the 95th percentile was at most ${writeSeconds(longest)}.`;
  return <Chart title="Wait until started" summary={summary} at={at} lines={lines} write={writeSeconds} />;
}
