import { type LogIndex, type Refusal, type Revision, refusal } from "#kernel";
import type { Timer, Timers } from "#ports";
import type { Event, ObjectValue, Reader } from "#statemachine";
import { History, type HistoryOptions, revisionOf } from "./history.ts";
import type { WatchSink, WatchSpec } from "./types.ts";

export interface WatchOptions extends HistoryOptions {
  /** An idle watch hears at least this often how far it has come. */
  readonly bookmarkMs: number;
  /** Objects in one snapshot batch. */
  readonly snapshotBatch: number;
}

/**
 * Watches over one shared history. Each is a filter and a cursor: a slow reader's cursor stays behind, nothing is buffered
 * for it, and it ends with OVERLOADED when the history has moved past it.
 */
export class Watches {
  readonly #options: WatchOptions;
  readonly #timers: Timers;
  readonly #watches = new Set<Watch>();
  #history: History;
  #revision: Revision;
  #bookmarks: Timer | null = null;

  constructor(options: WatchOptions, timers: Timers, revision: Revision) {
    this.#options = options;
    this.#timers = timers;
    this.#revision = revision;
    this.#history = new History(options, revision);
  }

  get count(): number {
    return this.#watches.size;
  }

  /** Remembers the events of one entry. Costs one push while nobody watches. */
  record(events: readonly Event[]): void {
    if (events.length > 0) this.#history.push(events);
  }

  /** Everything up to `revision` has been recorded: hands it out. */
  publish(revision: Revision): void {
    this.#revision = revision;
    if (this.#watches.size > 0) for (const watch of this.#watches) this.#advance(watch);
  }

  /** The state was replaced as a whole: what lies between is unknown. */
  restored(revision: Revision): void {
    this.#history = new History(this.#options, revision);
    this.#revision = revision;
    for (const watch of this.#watches) {
      this.#end(watch, refusal("COMPACTED", `this node was restored at revision ${revision}: list, then watch from there`));
    }
  }

  start(spec: WatchSpec, sink: WatchSink, reader: Reader): () => void {
    const first = this.#firstRevision(spec);
    if (first < this.#history.completeFrom) {
      const left = this.#history.completeFrom;
      sink.end(refusal("COMPACTED", `revision ${first} is gone, the first one left is ${left}`, { field: "from_revision" }));
      return () => {};
    }
    const watch: Watch = {
      spec,
      sink,
      cursor: this.#history.seek(first),
      fromRevision: first,
      kinds: new Set(spec.kinds),
      snapshot: spec.snapshot ? batchesOf(reader.objects(spec.kinds, spec.keyPrefix), this.#options.snapshotBatch) : null,
      snapshotRevision: this.#revision,
      pushes: 0,
    };
    this.#watches.add(watch);
    this.#bookmarks ??= this.#timers.every(this.#options.bookmarkMs / 2, () => this.#bookmark());
    this.#advance(watch);
    return () => this.#forget(watch);
  }

  endAll(why: Refusal): void {
    for (const watch of this.#watches) this.#end(watch, why);
  }

  /** With a snapshot the changes follow it without a gap; what an asked-for earlier revision would add is in it already. */
  #firstRevision({ snapshot, fromRevision }: WatchSpec): LogIndex {
    const next = (this.#revision + 1) as LogIndex;
    return snapshot || fromRevision === 0 ? next : fromRevision;
  }

  #advance(watch: Watch): void {
    if (watch.snapshot !== null && !this.#pushSnapshot(watch)) return;
    while (isReady(watch.sink)) {
      const change = this.#history.at(watch.cursor);
      if (change === undefined) return;
      if (change === null) {
        const message = `the reader is behind revision ${this.#history.completeFrom}, the first one that is kept`;
        return this.#end(watch, refusal("OVERLOADED", message));
      }
      watch.cursor += 1;
      const revision = revisionOf(change);
      if (revision < watch.fromRevision) continue;
      const events = filterEvents(change, watch);
      if (events.length > 0) push(watch, { revision, events, snapshot: null, snapshotEnd: false });
    }
  }

  /** True when the snapshot has been handed over as a whole. */
  #pushSnapshot(watch: Watch): boolean {
    const batches = watch.snapshot!;
    for (let isLast = false; !isLast;) {
      if (!isReady(watch.sink)) return false;
      const { value } = batches.next();
      isLast = value!.isLast;
      push(watch, { revision: watch.snapshotRevision, events: [], snapshot: value!.objects, snapshotEnd: isLast });
    }
    watch.snapshot = null;
    return true;
  }

  /** Also moves readers on that were not ready when the last change came. */
  #bookmark(): void {
    for (const watch of this.#watches) {
      this.#advance(watch);
      const upToDate = watch.snapshot === null && this.#history.at(watch.cursor) === undefined;
      const isIdle = watch.pushes === 0;
      watch.pushes = 0;
      if (!upToDate || !isIdle || this.#revision < watch.fromRevision - 1 || !isReady(watch.sink)) continue;
      watch.sink.push({ revision: this.#revision, events: [], snapshot: null, snapshotEnd: false });
    }
  }

  #end(watch: Watch, why: Refusal): void {
    this.#forget(watch);
    watch.sink.end(why);
  }

  #forget(watch: Watch): void {
    this.#watches.delete(watch);
    if (this.#watches.size > 0) return;
    this.#bookmarks?.cancel();
    this.#bookmarks = null;
  }
}

interface Watch {
  readonly spec: WatchSpec;
  readonly sink: WatchSink;
  readonly kinds: ReadonlySet<string>;
  readonly fromRevision: Revision;
  readonly snapshotRevision: Revision;
  /** What is left of the snapshot to hand over: the state of one revision, taken apart as the reader keeps up. */
  snapshot: Iterator<SnapshotBatch, undefined> | null;
  cursor: number;
  /** Pushes since the last look of the bookmark timer. */
  pushes: number;
}

function push(watch: Watch, output: Parameters<WatchSink["push"]>[0]): void {
  watch.pushes += 1;
  watch.sink.push(output);
}

function isReady(sink: WatchSink): boolean {
  return sink.ready?.() ?? true;
}

function filterEvents(events: readonly Event[], { kinds, spec }: Watch): readonly Event[] {
  if (kinds.size === 0 && spec.keyPrefix === "") return events;
  return events.filter(({ kind, key }) => (kinds.size === 0 || kinds.has(kind)) && key.startsWith(spec.keyPrefix));
}

interface SnapshotBatch {
  readonly objects: readonly (ObjectValue & { readonly key: string })[];
  readonly isLast: boolean;
}

/** At least one batch, and the last one knows that it is. */
function* batchesOf(objects: Iterable<SnapshotBatch["objects"][number]>, size: number): Generator<SnapshotBatch, undefined> {
  let batch: SnapshotBatch["objects"][number][] = [];
  for (const object of objects) {
    if (batch.length === size) {
      yield { objects: batch, isLast: false };
      batch = [];
    }
    batch.push(object);
  }
  yield { objects: batch, isLast: true };
}
