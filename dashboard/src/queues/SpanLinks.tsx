import { Link } from '@tanstack/react-router';
import { SPANS, type Span } from './history';

/** How far back the charts show. It stands in the address. */
export function SpanLinks() {
  return (
    <nav className="spans" aria-label="How far back">
      {(Object.keys(SPANS) as Span[]).map((one) => (
        <Link
          key={one}
          to="."
          search={(before) => ({ ...before, span: one === '1h' ? undefined : one })}
          className="button"
          activeOptions={{ exact: true, includeSearch: true }}
        >
          {SPANS[one].name}
        </Link>
      ))}
    </nav>
  );
}
