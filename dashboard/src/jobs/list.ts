// The list of jobs: pages by cursor, and rows that are read again when the stream says that they
// have changed. Rows never move by themselves: what is new is only counted until it is asked for.
import { ask, type Problem } from '../api/ask';
import { stream } from '../api/stream';
import { createStore } from '../ui/store';
import { Jobs, JobsById, JobsChanged, type JobFilter, type JobOrder, type Row } from './documents';

const PAGE = 50;
/** How often rows are read again at most, and how many at once. */
const EVERY = 100;
const AT_ONCE = 100;
const AFTER_PROBLEM = 3000;

export interface JobsView {
  rows: readonly Row[];
  /** How many match. 10,000 means that many or more. */
  count: number | null;
  hasMore: boolean;
  isLoading: boolean;
  /** How many jobs match by now that are not among the rows. */
  fresh: number;
  /** The jobs among the rows that match no more. */
  left: ReadonlySet<string>;
  problem: Problem | null;
}

const NOTHING: JobsView = { rows: [], count: null, hasMore: false, isLoading: true, fresh: 0, left: new Set(), problem: null };

export class JobsList {
  readonly view = createStore<JobsView>(NOTHING);
  private cursor: string | null = null;
  private fresh = new Set<string>();
  private dirty = new Set<string>();
  private timer: ReturnType<typeof setTimeout> | null = null;
  private isReading = false;
  private isLoadingMore = false;
  private turn = 0;
  private stop: () => void = () => undefined;

  constructor(
    private readonly filter: JobFilter | null,
    private readonly orderBy: JobOrder,
  ) {}

  start(): void {
    void this.load();
    // The stream refuses a search, so it tells of jobs that the rest of the filter selects.
    const { search: _, ...rest } = this.filter ?? {};
    this.stop = stream(JobsChanged, { filter: Object.keys(rest).length > 0 ? rest : null }, {
      next: ({ jobsChanged }) => {
        if (jobsChanged.isReset) this.refresh();
        for (const change of jobsChanged.changes) this.note(change);
      },
      fail: (problem) => this.patch({ problem }),
    });
  }

  end(): void {
    this.turn += 1;
    this.stop();
    if (this.timer) clearTimeout(this.timer);
  }

  /** Reads the first page anew. */
  load = async (): Promise<void> => {
    const mine = ++this.turn;
    const { data, problem } = await ask(Jobs, { filter: this.filter, orderBy: this.orderBy, first: PAGE, after: null });
    if (mine !== this.turn) return;
    if (!data) return this.patch({ isLoading: false, problem });
    this.cursor = data.jobs.pageInfo.endCursor;
    this.fresh.clear();
    this.view.set({
      rows: data.jobs.nodes,
      count: data.jobs.countAtLeast,
      hasMore: data.jobs.pageInfo.hasNextPage,
      isLoading: false,
      fresh: 0,
      left: new Set(),
      problem,
    });
  };

  /** Reads the next page. */
  more = async (): Promise<void> => {
    const { hasMore, rows } = this.view.get();
    if (!hasMore || this.isLoadingMore || rows.length === 0) return;
    this.isLoadingMore = true;
    const mine = this.turn;
    const { data, problem } = await ask(Jobs, { filter: this.filter, orderBy: this.orderBy, first: PAGE, after: this.cursor });
    this.isLoadingMore = false;
    if (mine !== this.turn) return;
    if (!data) return this.patch({ problem });
    this.cursor = data.jobs.pageInfo.endCursor;
    const known = new Set(this.view.get().rows.map(({ id }) => id));
    for (const { id } of data.jobs.nodes) this.fresh.delete(id);
    this.patch({
      rows: [...this.view.get().rows, ...data.jobs.nodes.filter(({ id }) => !known.has(id))],
      hasMore: data.jobs.pageInfo.hasNextPage,
      fresh: this.fresh.size,
      problem,
    });
  };

  /** Reads all rows again, because changes may have been missed. */
  private refresh(): void {
    for (const { id } of this.view.get().rows) this.dirty.add(id);
    this.schedule();
  }

  private note({ id, version, isInFilter }: { id: string; version: number; isInFilter: boolean }): void {
    const { rows, left } = this.view.get();
    const row = rows.find((one) => one.id === id);
    if (row) {
      if (row.version < version) this.dirty.add(id);
      if (left.has(id) === isInFilter) {
        const changed = new Set(left);
        if (isInFilter) changed.delete(id);
        else changed.add(id);
        this.patch({ left: changed });
      }
      this.schedule();
      return;
    }
    const isNew = isInFilter && this.belongsAmongRows(id);
    if (isNew === this.fresh.has(id)) return;
    if (isNew) this.fresh.add(id);
    else this.fresh.delete(id);
    this.patch({ fresh: this.fresh.size });
  }

  /** Whether a job would stand among the rows that are read. Ids sort by the time of enqueuing. */
  private belongsAmongRows(id: string): boolean {
    if (this.filter?.search) return false;
    const { rows, hasMore } = this.view.get();
    const last = rows.at(-1);
    if (!last || !hasMore || this.orderBy.field !== 'CREATED_AT') return true;
    return this.orderBy.direction === 'ASC' ? id < last.id : id > last.id;
  }

  private schedule(wait = EVERY): void {
    if (this.timer || this.isReading || this.dirty.size === 0) return;
    this.timer = setTimeout(() => {
      this.timer = null;
      void this.read();
    }, wait);
  }

  private async read(): Promise<void> {
    const ids = [...this.dirty].slice(0, AT_ONCE);
    const mine = this.turn;
    this.isReading = true;
    const { data, problem } = await ask(JobsById, { ids });
    this.isReading = false;
    if (mine !== this.turn) return this.schedule();
    if (data) {
      for (const id of ids) this.dirty.delete(id);
      const found = new Map<string, Row>();
      for (const node of data.nodes) if (node?.__typename === 'Job') found.set(node.id, node);
      const rows = this.view.get().rows.map((row) => {
        const now = found.get(row.id);
        return now && now.version >= row.version ? now : row;
      });
      this.patch({ rows, problem });
    } else {
      this.patch({ problem });
    }
    this.schedule(data ? EVERY : AFTER_PROBLEM);
  }

  private patch(changes: Partial<JobsView>): void {
    this.view.set({ ...this.view.get(), ...changes });
  }
}
