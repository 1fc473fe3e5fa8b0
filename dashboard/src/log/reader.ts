// Reads the log of a job: first the end, then what comes live, and older lines when they are looked
// at or searched. Up to a bound they are all read, so that a search finds everything at once.
import { ask, type Problem } from '../api/ask';
import { stream } from '../api/stream';
import { createStore } from '../ui/store';
import { JobLog, LogPart, LogTail } from './documents';
import { CHUNK, Lines } from './lines';

/** Logs up to this length are read whole. Of longer ones, what is looked at or searched. */
const READ_WHOLE = 100_000;

export interface LogState {
  /** Increases whenever lines have come. */
  version: number;
  isLoading: boolean;
  /** Whether the log is complete, because the job has finished. */
  isComplete: boolean;
  /** Whether the caller may not see it. */
  isKeptBack: boolean;
  problem: Problem | null;
}

export class LogReader {
  readonly lines = new Lines();
  readonly state = createStore<LogState>({ version: 0, isLoading: true, isComplete: false, isKeptBack: false, problem: null });
  private wanted: number[] = [];
  private readsAll = false;
  private isReading = false;
  private hasEnded = false;
  private frame = 0;
  private stop: () => void = () => undefined;

  constructor(private readonly jobId: string) {}

  async start(): Promise<void> {
    const { data, problem } = await ask(LogTail, { jobId: this.jobId, last: CHUNK });
    if (this.hasEnded) return;
    const job = data?.job;
    if (!job) return this.patch({ isLoading: false, problem: problem ?? { code: 'NOT_FOUND', message: 'There is no such job.' } });
    if (job.isKeptBack) return this.patch({ isLoading: false, isKeptBack: true });
    this.lines.beginAt(job.start.nodes[0]?.sequence ?? 1);
    this.lines.liveFrom = job.log.nodes[0]?.sequence ?? 1;
    this.lines.add(job.log.nodes);
    this.patch({ isLoading: false, problem });
    this.follow(job.log.pageInfo.endCursor);
    void this.read();
  }

  /** Follows the log after a cursor, also when a retried job goes on. */
  private follow(after: string | null): void {
    this.stop = stream(JobLog, { jobId: this.jobId, after }, {
      next: ({ jobLog: { lines, skipped } }) => {
        const first = lines[0]?.sequence;
        if (first !== undefined && skipped > 0) this.lines.drop(first - skipped, first - 1);
        this.lines.add(lines);
        this.changed();
      },
      complete: () => this.patch({ isComplete: true }),
      fail: (problem) => this.patch({ problem }),
    });
  }

  end(): void {
    this.hasEnded = true;
    this.stop();
    cancelAnimationFrame(this.frame);
  }

  /** Reads the chunks around these lines before all others. */
  want(from: number, to: number): void {
    const { first, last } = this.lines;
    const low = Math.floor((Math.max(first, from) - 1) / CHUNK);
    const high = Math.floor((Math.min(last, to) - 1) / CHUNK);
    this.wanted = [];
    for (let index = low; index <= high; index += 1) if (this.lines.needs(index)) this.wanted.push(index);
    if (this.wanted.length > 0) void this.read();
  }

  /** Reads all lines, for a search or a filter. */
  wantAll(): void {
    this.readsAll = true;
    void this.read();
  }

  /** The next chunk to read, or null if nothing is wanted. */
  private next(): number | null {
    const wanted = this.wanted.find((index) => this.lines.needs(index));
    if (wanted !== undefined) return wanted;
    const isShort = this.lines.last - this.lines.first < READ_WHOLE;
    return this.readsAll || isShort ? (this.lines.gaps()[0] ?? null) : null;
  }

  private async read(): Promise<void> {
    if (this.isReading) return;
    this.isReading = true;
    for (let index = this.next(); index !== null && !this.hasEnded; index = this.next()) {
      const { data, problem } = await ask(LogPart, { jobId: this.jobId, from: index * CHUNK + 1, first: CHUNK });
      if (!data?.job) {
        this.patch({ problem });
        break;
      }
      const found = data.job.log.nodes.filter(({ sequence }) => sequence <= (index + 1) * CHUNK);
      this.lines.add(found);
      this.lines.answer(index, Math.max(...found.map(({ sequence }) => sequence), this.lines.liveFrom - 1));
      this.wanted = this.wanted.filter((one) => one !== index);
      this.changed();
    }
    this.isReading = false;
  }

  /** Tells of new lines once in a frame. */
  private changed(): void {
    if (this.frame) return;
    this.frame = requestAnimationFrame(() => {
      this.frame = 0;
      this.patch({});
    });
  }

  private patch(changes: Partial<LogState>): void {
    const before = this.state.get();
    this.state.set({ ...before, ...changes, version: before.version + 1 });
  }
}
