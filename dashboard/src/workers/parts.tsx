// Small parts of workers.
import { Icon, type IconName } from '../ui/Icon';

const GLYPHS: Record<string, IconName> = { ACTIVE: 'check', DRAINING: 'down', GONE: 'out', LOST: 'warning' };

/** A state has a glyph and a word, so that colour alone says nothing. */
export function Status({ status }: { status: string }) {
  return (
    <span className="worker-status" data-status={status}>
      <Icon name={GLYPHS[status] ?? 'warning'} />
      {status.charAt(0) + status.slice(1).toLowerCase()}
    </span>
  );
}

export function SlotBar({ running, concurrency }: { running: number; concurrency: number }) {
  const percent = concurrency === 0 ? 0 : Math.min(100, Math.round((running / concurrency) * 100));
  return (
    <span className="slot-bar">
      <span className="bar" role="img" aria-label={`${percent} % of the slots are in use`}>
        <span className="bar-fill" style={{ width: `${percent}%` }} />
      </span>
      <span className="slot-text">{`${running} of ${concurrency}`}</span>
    </span>
  );
}
