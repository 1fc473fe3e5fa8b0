// What a person chooses for this browser: the theme and the time zone.
import { createStore } from '../ui/store';

export type Theme = 'system' | 'light' | 'dark';

export interface Settings {
  theme: Theme;
  /** `local`, `UTC`, or a name such as `Europe/Berlin`. */
  zone: string;
}

const STORED = 'callboard.settings';

export function isZone(zone: string): boolean {
  try {
    new Intl.DateTimeFormat('en', { timeZone: zone });
    return true;
  } catch {
    return false;
  }
}

function read(): Settings {
  try {
    const { theme, zone } = JSON.parse(localStorage.getItem(STORED) ?? '{}') as Partial<Settings>;
    return {
      theme: theme === 'light' || theme === 'dark' ? theme : 'system',
      zone: typeof zone === 'string' && (zone === 'local' || isZone(zone)) ? zone : 'local',
    };
  } catch {
    return { theme: 'system', zone: 'local' };
  }
}

export const settings = createStore<Settings>(read());

/** The zone as Intl takes it. Undefined is that of the browser. */
export const timeZone = ({ zone }: Settings): string | undefined => (zone === 'local' ? undefined : zone);

export function applySettings(): void {
  const { theme } = settings.get();
  document.documentElement.style.colorScheme = theme === 'system' ? 'light dark' : theme;
}

export function choose(changes: Partial<Settings>): void {
  settings.set({ ...settings.get(), ...changes });
  try {
    localStorage.setItem(STORED, JSON.stringify(settings.get()));
  } catch {
    // Without storage the choice lasts as long as the page.
  }
  applySettings();
}
