// The lines of a log that have been received, in chunks by their number. Lines are only added, and
// the oldest are let go above a bound. What is said about them is counted here, never assumed.
import type { Line } from './documents';

export const CHUNK = 1000;
/** The most lines that are kept. */
export const MOST = 200_000;

export interface Proof {
  /** The first and the last number that are known to exist and are kept. */
  from: number;
  to: number;
  received: number;
  /** Lines that should be here and are not: in what was answered, or between live lines. */
  missing: number;
  /** Lines that have not been asked for yet. */
  unread: number;
  /** Lines that the server no longer has. */
  dropped: number;
  /** Lines that were let go here because there are too many. */
  letGo: number;
}

const chunkOf = (sequence: number) => Math.floor((sequence - 1) / CHUNK);

export class Lines {
  /** The highest number that was received. */
  last = 0;
  /** The number from which lines come live, so that none may be missing from here on. */
  liveFrom = Infinity;
  private start = 1;
  private chunks = new Map<number, { lines: (Line | undefined)[]; count: number }>();
  /** Chunks for which the server has answered, and up to which number. */
  private answered = new Map<number, number>();
  private dropped: { from: number; to: number }[] = [];

  /** The first number that is kept. */
  get first(): number {
    return Math.max(this.start, this.last - MOST + 1);
  }

  /** Says which line is the first that the server has. */
  beginAt(sequence: number): void {
    this.start = sequence;
  }

  get(sequence: number): Line | undefined {
    return this.chunks.get(chunkOf(sequence))?.lines[(sequence - 1) % CHUNK];
  }

  /** Adds lines, of which some may be known. Returns how many were new. */
  add(lines: readonly Line[]): number {
    let added = 0;
    for (const line of lines) {
      const index = chunkOf(line.sequence);
      let chunk = this.chunks.get(index);
      if (!chunk) this.chunks.set(index, (chunk = { lines: [], count: 0 }));
      const at = (line.sequence - 1) % CHUNK;
      if (chunk.lines[at]) continue;
      chunk.lines[at] = line;
      chunk.count += 1;
      added += 1;
      if (line.sequence > this.last) this.last = line.sequence;
    }
    const lowest = chunkOf(this.first);
    for (const index of this.chunks.keys()) if (index < lowest) this.chunks.delete(index);
    return added;
  }

  /** Notes that the server no longer has these lines. */
  drop(from: number, to: number): void {
    if (from <= to) this.dropped.push({ from, to });
  }

  /** Notes that the server has answered for a chunk, with every line up to this number. */
  answer(index: number, to: number): void {
    this.answered.set(index, to);
  }

  private isDropped(sequence: number): boolean {
    return this.dropped.some(({ from, to }) => sequence >= from && sequence <= to);
  }

  /** The chunks with lines that are not here, from the last to the first. */
  gaps(): number[] {
    const found: number[] = [];
    if (this.last === 0) return found;
    for (let index = chunkOf(this.last); index >= chunkOf(this.first); index -= 1) {
      if (this.needs(index)) found.push(index);
    }
    return found;
  }

  /** Whether a chunk has lines that are not here and were not asked for. */
  needs(index: number): boolean {
    return !this.isWhole(index) && !this.answered.has(index);
  }

  /** Whether a chunk has every line that it can have by now. */
  isWhole(index: number): boolean {
    const from = Math.max(this.first, index * CHUNK + 1);
    const to = Math.min(this.last, (index + 1) * CHUNK);
    const chunk = this.chunks.get(index);
    if (!chunk) return from > to;
    if (from === index * CHUNK + 1) return chunk.count >= to - from + 1;
    return this.absent(index, () => undefined) === 0;
  }

  /** Calls back for each line of a chunk that is not here, and returns how many there are. */
  private absent(index: number, each: (sequence: number) => void): number {
    const to = Math.min(this.last, (index + 1) * CHUNK);
    let count = 0;
    for (let sequence = Math.max(this.first, index * CHUNK + 1); sequence <= to; sequence += 1) {
      if (this.get(sequence)) continue;
      count += 1;
      each(sequence);
    }
    return count;
  }

  proof(): Proof {
    const proof = { from: this.first, to: this.last, received: 0, missing: 0, unread: 0, dropped: 0, letGo: this.first - this.start };
    if (this.last === 0) return { ...proof, letGo: 0 };
    for (let index = chunkOf(this.first); index <= chunkOf(this.last); index += 1) {
      const size = Math.min(this.last, (index + 1) * CHUNK) - Math.max(this.first, index * CHUNK + 1) + 1;
      if (this.isWhole(index)) {
        proof.received += size;
        continue;
      }
      const answeredTo = this.answered.get(index) ?? 0;
      const absent = this.absent(index, (sequence) => {
        if (this.isDropped(sequence)) proof.dropped += 1;
        else if (sequence >= this.liveFrom || sequence <= answeredTo) proof.missing += 1;
        else proof.unread += 1;
      });
      proof.received += size - absent;
    }
    return proof;
  }
}

/** The proof in words. */
export function wordsOf(proof: Proof): string {
  const number = (value: number) => value.toLocaleString('en');
  if (proof.to === 0) return 'No lines yet';
  const parts = [`${number(proof.from)} to ${number(proof.to)}, ${number(proof.missing)} missing`];
  if (proof.unread > 0) parts.push(`${number(proof.received)} read so far`);
  if (proof.dropped > 0) parts.push(`${number(proof.dropped)} no longer stored`);
  if (proof.letGo > 0) parts.push(`only the newest ${number(MOST)} are kept on this page`);
  return parts.join(' · ');
}
