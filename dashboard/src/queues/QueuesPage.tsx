import '../styles/overview.css';
import { useEffect } from 'react';
import { playgroundUrl } from '../app/playground';
import { Empty, Loading, ProblemBanner } from '../ui/parts';
import { QueueStats } from './documents';
import { QueuesTable } from './QueuesTable';
import { useQueues } from './useQueues';

export function QueuesPage() {
  const { value: queues, problem, isLoading, again } = useQueues();
  useEffect(() => {
    document.title = 'Queues · Callboard';
  }, []);
  return (
    <div className="page">
      <div className="page-head">
        <h1>Queues</h1>
        <span className="soft">{queues && queues.length > 0 && `${queues.length} in order of name`}</span>
        <a className="push small" href={playgroundUrl(QueueStats, {})}>
          Show the query
        </a>
      </div>
      {problem && <ProblemBanner problem={problem} again={() => void again()} />}
      {isLoading && <Loading what="the queues" />}
      {queues?.length === 0 && (
        <Empty title="There are no queues yet">
          <p>
            A queue is made with its first job. Enqueue one with <code>jobEnqueue</code>, for example in the <a href="/playground">playground</a>.
          </p>
        </Empty>
      )}
      {queues && queues.length > 0 && <QueuesTable queues={queues} label="Queues" />}
    </div>
  );
}
