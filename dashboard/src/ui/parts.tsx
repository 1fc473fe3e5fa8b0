// Small parts that many pages use.
import type { ReactNode } from 'react';
import type { Problem } from '../api/ask';
import { Icon } from './Icon';

/** What a list says when it has nothing to show. */
export function Empty({ title, children }: { title: string; children?: ReactNode }) {
  return (
    <div className="empty">
      <p className="empty-title">{title}</p>
      {children}
    </div>
  );
}

/** Grey lines in place of what is being read. */
export function Loading({ what, lines = 6 }: { what: string; lines?: number }) {
  return (
    <div className="loading" role="status">
      <span className="hidden">{`Reading ${what}`}</span>
      {Array.from({ length: lines }, (_, line) => (
        <span key={line} className="loading-line" />
      ))}
    </div>
  );
}

/** Says what was not answered and what to do, above what is still shown. */
export function ProblemBanner({ problem, again }: { problem: Problem; again?: (() => void) | undefined }) {
  return (
    <div className="banner" role="alert">
      <Icon name="warning" />
      <span>{problem.message}</span>
      {again && (
        <button type="button" className="quiet" onClick={again}>
          Try again
        </button>
      )}
    </div>
  );
}

export function Progress({ fraction, message }: { fraction: number | null; message: string | null }) {
  const percent = fraction === null ? null : Math.round(fraction * 100);
  return (
    <span className="progress">
      {percent !== null && (
        <span className="bar" role="progressbar" aria-label="Progress" aria-valuenow={percent} aria-valuemin={0} aria-valuemax={100}>
          <span className="bar-fill" style={{ width: `${percent}%` }} />
        </span>
      )}
      <span className="progress-text">{[percent === null ? null : `${percent} %`, message].filter(Boolean).join(' · ')}</span>
    </span>
  );
}

export function Key({ children }: { children: ReactNode }) {
  return <kbd>{children}</kbd>;
}
