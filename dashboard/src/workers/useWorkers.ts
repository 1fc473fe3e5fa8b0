import { ask } from '../api/ask';
import { useEvery, useLive, type Source } from '../api/live';
import { stream } from '../api/stream';
import { Workers, WorkersChanged, type Worker } from './documents';

const source: Source<readonly Worker[]> = {
  async read() {
    const { data, problem } = await ask(Workers, {});
    return { value: data?.workers ?? null, problem };
  },
  follow: (next, fail) => stream(WorkersChanged, {}, { next: ({ workersChanged }) => next(workersChanged), fail }),
};

/** Every worker. The stream does not report heartbeats, so they are read every 5 seconds. */
export function useWorkers() {
  const live = useLive(source);
  useEvery(5, () => void live.again());
  return live;
}
