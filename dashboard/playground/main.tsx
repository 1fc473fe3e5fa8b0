import 'graphiql/setup-workers/vite';
import 'graphiql/style.css';
import './playground.css';
import { createRoot } from 'react-dom/client';
import { App, initialKey } from './App';
import { demoCommandId } from './session';
import { defaultTabs } from './tabs';

const key = initialKey();
const tabs = defaultTabs(await demoCommandId(key));
createRoot(document.getElementById('root')!).render(<App firstKey={key} tabs={tabs} />);
