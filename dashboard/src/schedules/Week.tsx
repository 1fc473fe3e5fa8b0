// The next seven days in the chosen zone.
import { Link } from '@tanstack/react-router';
import { useNow, useZone, Time } from '../ui/Time';
import { exact, timeOfDay } from '../ui/time';
import type { Schedule } from './documents';
import { weekdayOf, weekOf, type Entry } from './week';

function Times({ times }: { times: readonly string[] }) {
  const zone = useZone();
  const write = (at: string) => (
    <time dateTime={at} title={exact(at)}>
      {timeOfDay(at, zone).slice(0, 5)}
    </time>
  );
  const first = times[0]!;
  const last = times.at(-1)!;
  if (times.length === 1) return write(first);
  return (
    <>
      {write(first)} to {write(last)}
      {`, ${times.length} times`}
    </>
  );
}

function Line({ entry: { name, times } }: { entry: Entry }) {
  return (
    <li className="week-entry">
      <span className="soft small">
        <Times times={times} />
      </span>
      <Link to="/schedules" search={{ q: name }} className="cut" title={name}>
        {name}
      </Link>
    </li>
  );
}

export function Week({ schedules }: { schedules: readonly Schedule[] }) {
  const zone = useZone();
  // A new minute is soon enough.
  const minute = Math.floor(useNow() / 60_000) * 60_000;
  const { days, cut } = weekOf(schedules, minute, zone);
  return (
    <>
      <ol className="week" aria-label="The next seven days">
        {days.map(({ date, entries }, index) => (
          <li key={date} className="week-day">
            <h2>
              {index === 0 ? 'Today' : weekdayOf(date)} <span className="soft small">{date}</span>
            </h2>
            {entries.length === 0 && <p className="soft small">no runs</p>}
            <ul>
              {entries.map((entry) => (
                <Line key={`${entry.id} ${entry.times[0]}`} entry={entry} />
              ))}
            </ul>
          </li>
        ))}
      </ol>
      {cut.map(({ id, name, until }) => (
        <p key={id} className="soft">
          {`${name} runs often: only its next 100 runs are shown, until `}
          <Time at={until} />.
        </p>
      ))}
    </>
  );
}
