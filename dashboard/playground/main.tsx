import 'graphiql/setup-workers/vite';
import 'graphiql/style.css';
import './playground.css';
import { createRoot } from 'react-dom/client';
import { App } from './App';
import { forgetStoredKey, takeKeyFromFragment } from './key';
import { demoCommandId, signIn } from './session';
import { defaultTabs } from './tabs';

forgetStoredKey();
const key = takeKeyFromFragment();
const first = key ? await signIn(key) : null;
const tabs = defaultTabs(await demoCommandId());
createRoot(document.getElementById('root')!).render(<App first={first} tabs={tabs} />);
