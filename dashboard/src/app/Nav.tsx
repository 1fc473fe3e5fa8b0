import { Link } from '@tanstack/react-router';
import { Icon } from '../ui/Icon';
import { usePages } from './usePages';

export function Nav({ onChosen }: { onChosen?: () => void }) {
  const pages = usePages();
  return (
    <nav className="nav" aria-label="Pages" onClick={onChosen}>
      {pages.map(({ path, name, icon, letter }) => (
        <Link key={path} to={path} className="nav-link" activeOptions={{ exact: path === '/' }} title={`Keys: g ${letter}`}>
          <Icon name={icon} />
          {name}
        </Link>
      ))}
      <a className="nav-link" href="/playground">
        <Icon name="playground" />
        Playground
      </a>
    </nav>
  );
}
