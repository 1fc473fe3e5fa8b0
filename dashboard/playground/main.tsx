import 'graphiql/setup-workers/vite';
import 'graphiql/style.css';
import './playground.css';
import { createRoot } from 'react-dom/client';
import { App } from './App';
import { forgetStoredKey, takeKeyFromFragment } from '../shared/key';
import { signIn } from '../shared/session';
import { takeQueryFromFragment } from './given';
import { demoCommandId } from './placeholders';
import { defaultTabs } from './tabs';

forgetStoredKey();
const key = takeKeyFromFragment();
const given = takeQueryFromFragment();
const first = key ? await signIn(key) : null;
const tabs = defaultTabs(await demoCommandId());
if (given) tabs.unshift(given);
createRoot(document.getElementById('root')!).render(<App first={first} tabs={tabs} given={given} />);
