import { Empty } from '../ui/parts';
import { State } from '../ui/State';
import { Sentence, Time } from '../ui/Time';
import type { JobEvent } from './documents';

const wordOf = (kind: string) => kind.charAt(0) + kind.slice(1).toLowerCase().replaceAll('_', ' ');

export function Events({ events }: { events: readonly JobEvent[] }) {
  if (events.length === 0) return <Empty title="No events">Events are kept for a while, and then pruned.</Empty>;
  return (
    <div className="scroll" tabIndex={0} role="region" aria-label="Events">
      <table className="plain">
        <thead>
          <tr>
            {['Time', 'What', 'State', 'Attempt', 'By', 'Message'].map((name) => (
              <th key={name} scope="col">
                {name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {[...events].reverse().map((event) => (
            <tr key={event.cursor}>
              <td>
                <Time at={event.at} />
              </td>
              <td>{wordOf(event.kind)}</td>
              <td>
                <State state={event.state} />
              </td>
              <td>{event.attempt}</td>
              <td>{event.actor}</td>
              <td className="wide">
                <Sentence text={event.message} />
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
