// Parts that the pages of the catalogue share.
import { useEffect, useState, type ReactNode } from 'react';
import { useNow, Countdown, Time } from '../ui/Time';
import { lengthOf, millisecondsOf } from '../ui/time';
import { leftOf, withBurst, pressureOf, usageInWords, type Usage } from './limits';
import '../styles/catalog.css';

export interface HealthOf {
  status: 'HEALTHY' | 'DOWN' | 'UNKNOWN';
  coolingUntil: string | null;
  latency: string | null;
}

const WORDS = { HEALTHY: 'Healthy', DOWN: 'Down', UNKNOWN: 'Not checked' } as const;
const GLYPHS = { HEALTHY: 'M5.3 8.2l1.9 1.9 3.5-4', DOWN: 'M5.8 5.8l4.4 4.4M10.2 5.8l-4.4 4.4', UNKNOWN: 'M8 10.8v.1M6.4 6.4a1.6 1.6 0 1 1 1.6 2' } as const;

/** The health of a proxy: a glyph of its own and a word. */
export function Health({ health }: { health: HealthOf }) {
  const isCooling = useNow() < Date.parse(health.coolingUntil ?? '');
  return (
    <span className="health" data-health={isCooling ? 'COOLING' : health.status}>
      <svg className="icon" viewBox="0 0 16 16" width="16" height="16" aria-hidden="true">
        <path d={`M8 14A6 6 0 1 0 8 2a6 6 0 0 0 0 12Z${isCooling ? 'M8 4.8V8l2.2 1.4' : GLYPHS[health.status]}`} />
      </svg>
      {isCooling && health.coolingUntil ? (
        <span>
          {'Cooling, again '}
          <Countdown until={health.coolingUntil} />
        </span>
      ) : (
        <span>{WORDS[health.status]}</span>
      )}
      {!isCooling && health.status === 'HEALTHY' && health.latency && <span className="soft">{lengthOf(millisecondsOf(health.latency))}</span>}
    </span>
  );
}

export interface SecretOf {
  isSet: boolean;
  hint: string | null;
  expiresAt: string | null;
}

/** What may be known of a secret: its last characters and until when it holds. */
export function Hint({ secret }: { secret: SecretOf }) {
  const now = useNow();
  if (!secret.isSet) return <span className="soft">none</span>;
  const isOver = secret.expiresAt !== null && Date.parse(secret.expiresAt) <= now;
  return (
    <span>
      <span className="mono">{secret.hint ? `…${secret.hint}` : 'set'}</span>
      {secret.expiresAt && (
        <span className={isOver ? 'mistake' : 'soft'}>
          {isOver ? ', expired ' : ', expires '}
          <Time at={secret.expiresAt} />
        </span>
      )}
    </span>
  );
}

/** A bar for each limit, with what is left of it. */
export function LimitBars({ usage: all, rateLimits = [] }: { usage: readonly Usage[]; rateLimits?: readonly { name: string; burst: number }[] }) {
  const usage = all.map((one) => withBurst(one, rateLimits));
  const now = useNow();
  return (
    <ul className="limits">
      {usage.map((one) => {
        const left = leftOf(one);
        const words = usageInWords(one, now);
        return (
          <li key={`${one.source} ${one.name}`} data-pressure={pressureOf(one)}>
            <span className="limit-name">
              {one.name}
              <span className="soft">{one.source === 'OBSERVED' ? ' observed' : ' declared'}</span>
            </span>
            <span className="limit-bar" aria-hidden="true">
              {left !== null && <span className="limit-left" style={{ width: `${left * 100}%` }} />}
            </span>
            <span className="limit-words">{words}</span>
          </li>
        );
      })}
    </ul>
  );
}

/** Reads the typed part of a name once nobody types for a moment, or at once with Enter. */
export function SearchBox({ label, value, onChange }: { label: string; value: string | undefined; onChange(q: string | undefined): void }) {
  const [text, setText] = useState(value ?? '');
  useEffect(() => setText(value ?? ''), [value]);
  const apply = () => {
    const q = text.trim() === '' ? undefined : text.trim();
    if (q !== value) onChange(q);
  };
  useEffect(() => {
    const timer = setTimeout(apply, 300);
    return () => clearTimeout(timer);
  });
  return (
    <input
      type="search"
      className="filter-search"
      data-search=""
      value={text}
      maxLength={200}
      placeholder={label}
      aria-label={label}
      onChange={({ target }) => setText(target.value)}
      onKeyDown={(event) => {
        if (event.key === 'Enter') apply();
        if (event.key === 'Escape') event.currentTarget.blur();
      }}
    />
  );
}

export const focusSearch = () => document.querySelector<HTMLInputElement>('[data-search]')?.focus();

interface PagingProps {
  page: { hasNextPage: boolean; endCursor: string | null };
  after: string | undefined;
  onAfter(after: string | undefined): void;
  /** What the first page and the next one are called. */
  first?: string;
  next?: string;
}

export function Paging({ page, after, onAfter, first = 'First page', next = 'Next page' }: PagingProps) {
  if (!after && !page.hasNextPage) return null;
  return (
    <nav className="paging" aria-label="Pages of this list">
      <button type="button" disabled={!after} onClick={() => onAfter(undefined)}>
        {first}
      </button>
      <button type="button" disabled={!page.hasNextPage} onClick={() => onAfter(page.endCursor ?? undefined)}>
        {next}
      </button>
    </nav>
  );
}

export function Fact({ name, children }: { name: string; children: ReactNode }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}

/** A part of a page with its own heading, and what may be done in it. */
export function Section({ title, acts, children }: { title: string; acts?: ReactNode; children: ReactNode }) {
  return (
    <section className="section" aria-label={title}>
      <div className="section-head">
        <h2>{title}</h2>
        {acts}
      </div>
      {children}
    </section>
  );
}

export function useTitle(title: string): void {
  useEffect(() => {
    document.title = `${title} · Callboard`;
  }, [title]);
}
