import { ask } from '../api/ask';
import { useLive, type Source } from '../api/live';
import { stream } from '../api/stream';
import { Queues, QueueStats, type Queue } from './documents';

const source: Source<readonly Queue[]> = {
  async read() {
    const { data, problem } = await ask(Queues, {});
    return { value: data?.queues ?? null, problem };
  },
  follow: (next, fail) => stream(QueueStats, {}, { next: ({ queueStats }) => next(queueStats), fail }),
};

/** Every queue with its numbers, at most a second old. */
export const useQueues = () => useLive(source);
