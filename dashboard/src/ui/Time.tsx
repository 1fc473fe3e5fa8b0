// Every time that is shown: in the chosen zone, with the exact time on hover.
import { useSyncExternalStore } from 'react';
import { settings, timeZone } from '../app/settings';
import { useStore } from './store';
import { ageOf, dateTime, exact, lengthOf } from './time';

let now = Date.now();
const watchers = new Set<() => void>();
setInterval(() => {
  if (document.hidden || watchers.size === 0) return;
  now = Date.now();
  for (const watcher of watchers) watcher();
}, 1000);

function watch(watcher: () => void): () => void {
  if (watchers.size === 0) now = Date.now();
  watchers.add(watcher);
  return () => void watchers.delete(watcher);
}

/** The time now, which changes every second while the tab is shown. */
export function useNow(): number {
  return useSyncExternalStore(watch, () => now);
}

export function useZone(): string | undefined {
  return timeZone(useStore(settings));
}

/** A time of day with its date. */
export function Time({ at }: { at: string }) {
  const zone = useZone();
  return (
    <time dateTime={at} title={exact(at)}>
      {dateTime(at, zone)}
    </time>
  );
}

/** How long ago it was. */
export function Age({ at }: { at: string }) {
  return (
    <time dateTime={at} title={exact(at)}>
      {ageOf(useNow() - Date.parse(at))}
    </time>
  );
}

/** How long until then, or `now`. */
export function Countdown({ until }: { until: string }) {
  const left = Date.parse(until) - useNow();
  return (
    <time dateTime={until} title={exact(until)}>
      {left > 0 ? `in ${lengthOf(left)}` : 'now'}
    </time>
  );
}

/** How long something took or has taken since. */
export function Took({ from, to }: { from: string; to: string | null }) {
  const at = useNow();
  return <span title={exact(from)}>{lengthOf((to ? Date.parse(to) : at) - Date.parse(from))}</span>;
}

const STAMP = /\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z/;

/** A sentence of the server, with its times in the chosen zone. */
export function Sentence({ text }: { text: string }) {
  const found = STAMP.exec(text);
  if (!found) return text;
  return (
    <>
      {text.slice(0, found.index)}
      <Time at={found[0]} />
      <Sentence text={text.slice(found.index + found[0].length)} />
    </>
  );
}
