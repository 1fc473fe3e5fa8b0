import { Link } from '@tanstack/react-router';
import { Empty } from '../ui/parts';

export function NotFound() {
  return (
    <main className="alone">
      <h1 className="hidden">Nothing is here</h1>
      <Empty title="Nothing is here">
        <p>The address names no page. It may have been copied only in part.</p>
        <Link to="/jobs">Open the jobs</Link>
      </Empty>
    </main>
  );
}
