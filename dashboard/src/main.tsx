import './styles/tokens.css';
import './styles/base.css';
import './styles/parts.css';
import './styles/overlay.css';
import './styles/shell.css';
import './styles/filters.css';
import './styles/jobs.css';
import './styles/job.css';
import './styles/log.css';
import { RouterProvider } from '@tanstack/react-router';
import { createRoot } from 'react-dom/client';
import { takeKeyFromFragment } from '../shared/key';
import { router } from './app/router';
import { enter, watchSession } from './app/session';
import { applySettings } from './app/settings';

applySettings();
watchSession();
const key = takeKeyFromFragment();
if (key) await enter(key);
addEventListener('hashchange', () => {
  const given = takeKeyFromFragment();
  if (given) void enter(given);
});
createRoot(document.getElementById('root')!).render(<RouterProvider router={router} />);
