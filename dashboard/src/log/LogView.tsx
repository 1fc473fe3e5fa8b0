// The log of a job. Only the lines in view are in the document.
import { useLocation, useNavigate } from '@tanstack/react-router';
import { useVirtualizer } from '@tanstack/react-virtual';
import { useCallback, useEffect, useRef, useState } from 'react';
import { useKeys } from '../ui/keys';
import { Empty, Loading, ProblemBanner } from '../ui/parts';
import { useZone } from '../ui/Time';
import { tell } from '../ui/Toast';
import { plainOf } from './ansi';
import { LogRow } from './LogRow';
import { LogTools } from './LogTools';
import { wordsOf } from './lines';
import { rangeOf, type Choice } from './search';
import { useLogView, useReader } from './useLogView';

const ROW = 24;
/** How near to its end a log still counts as read to its end. */
const NEAR = 2 * ROW;
const TIMES = 'callboard.log.times';

async function copy(text: string, count: number): Promise<void> {
  try {
    await navigator.clipboard.writeText(text);
    tell(`Copied ${count.toLocaleString('en')} ${count === 1 ? 'line' : 'lines'}.`);
  } catch {
    tell('The browser does not allow copying here. Select the lines and copy them with Ctrl+C.');
  }
}

function useTimes() {
  const [hasTimes, setTimes] = useState(() => localStorage.getItem(TIMES) === 'on');
  const choose = (next: boolean) => {
    setTimes(next);
    localStorage.setItem(TIMES, next ? 'on' : 'off');
  };
  return [hasTimes, choose] as const;
}

export function LogView({ jobId }: { jobId: string }) {
  const reader = useReader(jobId);
  const { hash } = useLocation();
  const navigate = useNavigate();
  const zone = useZone();
  const marked = rangeOf(hash);
  const [search, setSearch] = useState('');
  const [choice, setChoice] = useState<Choice>({ attempt: null, without: new Set() });
  const [hit, setHit] = useState(0);
  const [hasTimes, setTimes] = useTimes();
  const [isFollowing, setFollowing] = useState(marked === null);
  const field = useRef<HTMLInputElement>(null);
  const frame = useRef<HTMLDivElement>(null);
  const { state, shown, hits, count, sequenceAt, rowOf, attempts } = useLogView(reader, search, choice);
  const virtual = useVirtualizer({
    count,
    getScrollElement: () => frame.current,
    estimateSize: () => ROW,
    overscan: 12,
    useFlushSync: false,
  });
  const items = virtual.getVirtualItems();

  // Older lines are read when they come into view.
  const first = items[0] ? sequenceAt(items[0].index) : 0;
  const last = items.at(-1) ? sequenceAt(items.at(-1)!.index) : 0;
  useEffect(() => {
    if (first > 0) reader.want(first, last);
  }, [reader, first, last]);

  useEffect(() => {
    if (isFollowing && count > 0) virtual.scrollToIndex(count - 1, { align: 'end' });
  }, [isFollowing, count, virtual]);

  // A link to a line shows it once the log has begun to be read.
  const isReady = !state.isLoading && count > 0;
  const from = marked?.from ?? null;
  useEffect(() => {
    if (!isReady || from === null) return;
    setFollowing(false);
    virtual.scrollToIndex(Math.max(0, Math.min(rowOf(from), count - 1)), { align: 'center' });
    // Lines that come later do not move what is shown.
  }, [isReady, from, virtual]);

  const before = useRef(0);
  const onScroll = () => {
    const { scrollTop, scrollHeight, clientHeight } = frame.current!;
    const isAtEnd = scrollHeight - scrollTop - clientHeight < NEAR;
    if (scrollTop < before.current - 1 && !isAtEnd) setFollowing(false);
    before.current = scrollTop;
  };

  const current = hits.length > 0 ? Math.min(hit, hits.length - 1) : 0;
  const show = (index: number) => {
    const sequence = hits[index];
    if (sequence === undefined) return;
    setFollowing(false);
    setHit(index);
    virtual.scrollToIndex(rowOf(sequence), { align: 'center' });
  };
  const move = (by: number) => show((current + by + hits.length) % Math.max(1, hits.length));
  const hasHits = hits.length > 0;
  // The first hit is shown as soon as there is one, and later ones do not move it.
  useEffect(() => {
    if (search !== '' && hasHits) show(0);
  }, [search, hasHits]);

  const onNumber = useCallback(
    (sequence: number, isRange: boolean) => {
      const start = isRange ? (rangeOf(location.hash)?.from ?? sequence) : sequence;
      const named = start === sequence ? `L${sequence}` : `L${Math.min(start, sequence)}-L${Math.max(start, sequence)}`;
      void navigate({ to: '.', search: true, hash: named, replace: true, hashScrollIntoView: false });
    },
    [navigate],
  );
  const onCopy = () => {
    const wanted = marked ?? { from: 1, to: Infinity };
    const texts: string[] = [];
    for (let row = 0; row < count; row += 1) {
      const line = reader.lines.get(sequenceAt(row));
      if (line && line.sequence >= wanted.from && line.sequence <= wanted.to) texts.push(plainOf(line.text));
    }
    void copy(texts.join('\n'), texts.length);
  };
  useKeys({
    '/': () => field.current?.focus(),
    f: () => setFollowing((is) => !is),
    n: () => move(1),
    N: () => move(-1),
  });

  if (state.isKeptBack) {
    return (
      <Empty title="This log is kept back">
        <p>The command is private. Sign in with a key of an OPERATOR to read it.</p>
      </Empty>
    );
  }
  return (
    <section className="log" aria-label="Log">
      <LogTools
        field={field}
        search={search}
        onSearch={(text) => (setSearch(text), setHit(0))}
        hits={hits.length}
        hit={current}
        onHit={move}
        choice={choice}
        onChoice={setChoice}
        attempts={attempts}
        hasTimes={hasTimes}
        onTimes={setTimes}
        isFollowing={isFollowing}
        onFollow={setFollowing}
        onCopy={onCopy}
      />
      {state.problem && <ProblemBanner problem={state.problem} />}
      <div ref={frame} className="log-frame" onScroll={onScroll} tabIndex={0} role="log" aria-live="off" aria-label="Lines">
        {state.isLoading && <Loading what="the log" lines={12} />}
        {!state.isLoading && count === 0 && !state.problem && (
          <Empty title={shown ? 'No line of these' : state.isComplete ? 'The job has written nothing' : 'No lines yet'}>
            <p>{state.isComplete ? '' : 'They appear here as soon as the job writes any.'}</p>
          </Empty>
        )}
        <div className="log-lines" style={{ height: virtual.getTotalSize() }}>
          {items.map(({ index, start, key }) => {
            const sequence = sequenceAt(index);
            return (
              <div
                key={key}
                className="log-row"
                data-line={sequence}
                data-marked={(marked && sequence >= marked.from && sequence <= marked.to) || undefined}
                style={{ transform: `translateY(${start}px)` }}
              >
                <LogRow
                  sequence={sequence}
                  line={reader.lines.get(sequence)}
                  search={search}
                  isHitNow={hits[current] === sequence}
                  hasTimes={hasTimes}
                  zone={zone}
                  onNumber={onNumber}
                />
              </div>
            );
          })}
        </div>
      </div>
      <p className="log-foot">
        <span data-testid="proof">{wordsOf(reader.lines.proof())}</span>
        <span>{state.isComplete ? 'The log is complete.' : 'More lines may come.'}</span>
      </p>
    </section>
  );
}
