import {
  type ClusterTimeMs,
  invariant,
  InvariantError,
  type LogIndex,
  NO_INDEX,
  NO_TERM,
  type Term,
  type WallTimeMs,
} from "#kernel";
import type { BatchId, Entry, SnapshotMeta } from "./types.ts";

/**
 * The logical log in memory: everything after the last compaction, whether on disk yet or not.
 *
 * ```
 *   base ─ compacted up to here      applied ≤ delivered ≤ commit ≤ last      handedOut = given to the disk
 *                                    delivered ≤ durable ≤ handedOut ≤ last
 * ```
 * Every access by index is one array read; an append is one push.
 */
export class RaftLog {
  /** `#entries[i].index === #base.index + 1 + i`. */
  #entries: Entry[] = [];
  #base: LogPosition;
  #handedOut: LogIndex;
  #durable: LogIndex;
  #commit: LogIndex;
  #delivered: LogIndex;
  #applied: LogIndex;
  /** Payload and overhead of the entries in (applied, delivered]. */
  #deliveredBytes = 0;
  /** Batches on their way to the disk, oldest first, each with the last index of it that the log still holds. */
  #writing: { readonly batch: BatchId; lastIndex: LogIndex }[] = [];
  /** The slice cut last: followers at the same place get the same array, so that it is cut (and may be encoded) once. */
  #lastSlice: { from: LogIndex; through: LogIndex; maxBytes: number; entries: readonly Entry[] } | null = null;

  constructor(snapshot: SnapshotMeta | null, recovered: readonly Entry[]) {
    this.#base = snapshot ?? ORIGIN;
    const { index } = this.#base;
    this.#commit = index;
    this.#delivered = index;
    this.#applied = index;
    for (const entry of recovered) this.append(entry);
    this.#handedOut = this.lastIndex;
    this.#durable = this.lastIndex;
  }

  /** The last index that is compacted away; its term is still known. */
  get baseIndex(): LogIndex {
    return this.#base.index;
  }

  get lastIndex(): LogIndex {
    return (this.#base.index + this.#entries.length) as LogIndex;
  }

  get lastTerm(): Term {
    return this.#last.term;
  }

  get commitIndex(): LogIndex {
    return this.#commit;
  }

  get appliedIndex(): LogIndex {
    return this.#applied;
  }

  get durableIndex(): LogIndex {
    return this.#durable;
  }

  /** The replicated clock at the log's end. */
  get lastTimes(): { readonly clusterTimeMs: ClusterTimeMs; readonly wallTimeMs: WallTimeMs } {
    return this.#last;
  }

  /** Null when the index is compacted away or beyond the end. */
  termAt(index: LogIndex): Term | null {
    return index === this.#base.index ? this.#base.term : (this.#at(index)?.term ?? null);
  }

  matches(index: LogIndex, term: Term): boolean {
    return this.termAt(index) === term;
  }

  /** §5.4.1: the later last term wins; with equal terms, the longer log. */
  isUpToDate(lastIndex: LogIndex, lastTerm: Term): boolean {
    return lastTerm > this.lastTerm || (lastTerm === this.lastTerm && lastIndex >= this.lastIndex);
  }

  append(entry: Entry): void {
    const last = this.#last;
    // Spelled out: the message of `invariant` would be built for every entry.
    if (entry.index !== last.index + 1 || entry.term < last.term) {
      throw new InvariantError(
        `entry ${entry.index} of term ${entry.term} cannot follow entry ${last.index} of term ${last.term}`,
      );
    }
    this.#entries.push(entry);
  }

  /** Drops every entry above `lastKept`. */
  truncate(lastKept: LogIndex): void {
    invariant(lastKept >= this.#commit, `truncating to ${lastKept} would drop committed entries: commit is ${this.#commit}`);
    this.#entries.length = lastKept - this.#base.index;
    this.#handedOut = lower(this.#handedOut, lastKept);
    this.#durable = lower(this.#durable, lastKept);
    // A batch still being written may hold entries that are now overwritten: its answer must not make their successors
    // durable (the ABA of etcd's newStorageAppendRespMsg).
    for (const writing of this.#writing) writing.lastIndex = lower(writing.lastIndex, lastKept);
    this.#lastSlice = null;
  }

  /** The first of these entries whose term this log contradicts or does not hold; null when it holds them all. */
  firstNew(entries: readonly Entry[]): number | null {
    for (let i = 0; i < entries.length; i++) {
      const entry = entries[i] as Entry;
      if (this.termAt(entry.index) !== entry.term) return i;
    }
    return null;
  }

  /**
   * The largest index at or below `from` whose term is at or below `term`: no later one can match a log that holds `term`
   * at `from`. Stops at the compacted part, of which only the last term is known.
   */
  lastAtOrBelowTerm(from: LogIndex, term: Term): LogIndex {
    let index = lower(from, this.lastIndex);
    while (index > this.#base.index && (this.#at(index) as Entry).term > term) index--;
    return index as LogIndex;
  }

  commitTo(index: LogIndex): void {
    if (index <= this.#commit) return;
    invariant(index <= this.lastIndex, `commit index ${index} is beyond the log's end ${this.lastIndex}: the log lost entries`);
    this.#commit = index;
  }

  /** Entries from `from` on, at least one if there is any, up to `maxBytes` and to `through`. */
  slice(from: LogIndex, maxBytes: number, through: LogIndex = this.lastIndex): readonly Entry[] {
    if (from > through) return NO_ENTRIES;
    const known = this.#lastSlice;
    if (known !== null && known.from === from && known.through === through && known.maxBytes === maxBytes) return known.entries;
    const start = from - this.#base.index - 1;
    const limit = through - this.#base.index;
    let end = start;
    let bytes = 0;
    while (end < limit) {
      bytes += entryBytes(this.#entries[end] as Entry);
      if (bytes > maxBytes && end > start) break;
      end++;
    }
    const entries = this.#entries.slice(start, end);
    this.#lastSlice = { from, through, maxBytes, entries };
    return entries;
  }

  get hasUnwritten(): boolean {
    return this.#handedOut < this.lastIndex;
  }

  /** Everything that the disk has not been given yet; from now on `batch` stands for it. */
  takeUnwritten(batch: BatchId): readonly Entry[] {
    const from = (this.#handedOut + 1) as LogIndex;
    this.#handedOut = this.lastIndex;
    this.#writing.push({ batch, lastIndex: this.#handedOut });
    return this.slice(from, Infinity);
  }

  /** The disk holds `batch` and all before it. */
  persisted(batch: BatchId): void {
    let done = 0;
    for (const writing of this.#writing) {
      if (writing.batch > batch) break;
      if (writing.lastIndex > this.#durable) this.#durable = writing.lastIndex;
      done++;
    }
    this.#writing.splice(0, done);
  }

  hasDeliverable(maxBytes: number): boolean {
    return this.#delivered < lower(this.#commit, this.#durable) && this.#deliveredBytes < maxBytes;
  }

  /**
   * The next committed entries, within the window of `maxBytes` delivered and not applied. Only entries that are durable
   * here: the state machine never runs ahead of its own disk.
   */
  takeDeliverable(maxBytes: number): readonly Entry[] {
    if (!this.hasDeliverable(maxBytes)) return NO_ENTRIES;
    const from = (this.#delivered + 1) as LogIndex;
    const entries = this.slice(from, maxBytes - this.#deliveredBytes, lower(this.#commit, this.#durable));
    this.#deliveredBytes += this.bytesBetween(this.#delivered, (this.#delivered + entries.length) as LogIndex);
    this.#delivered = (this.#delivered + entries.length) as LogIndex;
    return entries;
  }

  applied(index: LogIndex): void {
    if (index <= this.#applied) return;
    invariant(index <= this.#delivered, `applied index ${index} is beyond the delivered index ${this.#delivered}`);
    this.#deliveredBytes -= this.bytesBetween(this.#applied, index);
    this.#applied = index;
  }

  /** Bytes of the entries in (after, through]. */
  bytesBetween(after: LogIndex, through: LogIndex): number {
    let bytes = 0;
    const end = through - this.#base.index;
    for (let i = after - this.#base.index; i < end; i++) bytes += entryBytes(this.#entries[i] as Entry);
    return bytes;
  }

  /** Payload alone of the entries in (after, through]. */
  payloadBetween(after: LogIndex, through: LogIndex): number {
    let bytes = 0;
    const end = through - this.#base.index;
    for (let i = after - this.#base.index; i < end; i++) bytes += (this.#entries[i] as Entry).data.length;
    return bytes;
  }

  /** Forgets entries up to `index`, which a snapshot stands for. */
  compact(index: LogIndex): void {
    if (index <= this.#base.index) return;
    invariant(
      index <= this.#applied,
      `compacting to ${index} would drop entries that are not applied: applied is ${this.#applied}`,
    );
    const last = this.#at(index) as Entry;
    this.#entries = this.#entries.slice(index - this.#base.index);
    this.#base = { index, term: last.term, clusterTimeMs: last.clusterTimeMs, wallTimeMs: last.wallTimeMs };
    this.#lastSlice = null;
  }

  /** A snapshot replaces everything, the uncommitted tail included. */
  resetTo(snapshot: SnapshotMeta): void {
    const { index } = snapshot;
    invariant(index > this.#commit, `snapshot ${index} was installed over commit index ${this.#commit}`);
    this.#entries = [];
    this.#base = snapshot;
    this.#handedOut = index;
    this.#durable = index;
    this.#commit = index;
    this.#delivered = index;
    this.#applied = index;
    this.#deliveredBytes = 0;
    for (const writing of this.#writing) writing.lastIndex = NO_INDEX;
    this.#lastSlice = null;
  }

  #at(index: LogIndex): Entry | undefined {
    return this.#entries[index - this.#base.index - 1];
  }

  get #last(): LogPosition {
    return this.#entries[this.#entries.length - 1] ?? this.#base;
  }
}

/** What one entry weighs in every byte limit: its payload and a fixed share for everything around it. */
function entryBytes(entry: Entry): number {
  return entry.data.length + ENTRY_OVERHEAD_BYTES;
}

type LogPosition = Pick<Entry, "index" | "term" | "clusterTimeMs" | "wallTimeMs">;

const ENTRY_OVERHEAD_BYTES = 48;
const ORIGIN: LogPosition = { index: NO_INDEX, term: NO_TERM, clusterTimeMs: 0 as ClusterTimeMs, wallTimeMs: 0 as WallTimeMs };
const NO_ENTRIES: readonly Entry[] = [];

function lower(a: LogIndex, b: LogIndex): LogIndex {
  return a < b ? a : b;
}
