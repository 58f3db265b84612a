import { invariant } from "#kernel";
import type { BatchId, Entry, HardState, Message, Persist } from "#raft";
import type { WalBatch, WriteAheadLog } from "#storage";

export interface DiskQueueEvents {
  /** May leave the node now: what it claims is durable. */
  readonly send: (messages: readonly Message[]) => void;
  /** This batch, and every one before it, is durable. */
  readonly persisted: (batch: BatchId) => void;
  readonly fatal: (error: Error) => void;
}

/**
 * The one writer of the log. While one batch syncs, the next gathers: everything queued is taken at once, written with one
 * fdatasync, then every `thenSend` goes out in order, then one `persisted` names the last batch (group commit).
 * Other work on the log (marks, resets) stands in the same line, so that it cannot overtake an append.
 */
export class DiskQueue {
  readonly #wal: WriteAheadLog;
  readonly #events: DiskQueueEvents;
  #waiting: Job[] = [];
  #running: Promise<void> | null = null;
  #stopped = false;

  constructor(wal: WriteAheadLog, events: DiskQueueEvents) {
    this.#wal = wal;
    this.#events = events;
  }

  persist(persist: Persist): void {
    this.#enqueue(persist);
  }

  /** Runs `task` when everything queued before it is durable. */
  run(task: (wal: WriteAheadLog) => Promise<void>): Promise<void> {
    return new Promise((resolve) => {
      this.#enqueue(async () => {
        await task(this.#wal);
        resolve();
      });
    });
  }

  /** Nothing is written or sent any more; resolves when the write under way has ended. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#waiting = [];
    await this.#running;
  }

  #enqueue(job: Job): void {
    if (this.#stopped) return;
    this.#waiting.push(job);
    this.#running ??= this.#drain();
  }

  async #drain(): Promise<void> {
    try {
      while (this.#waiting.length > 0 && !this.#stopped) await this.#step();
    } catch (error) {
      this.#stopped = true;
      this.#events.fatal(error instanceof Error ? error : new Error(String(error)));
    } finally {
      this.#running = null;
    }
  }

  async #step(): Promise<void> {
    const first = this.#waiting[0]!;
    if (typeof first === "function") {
      this.#waiting.shift();
      return await first();
    }
    const batches = this.#takePersists();
    await this.#wal.append(mergePersists(batches));
    if (this.#stopped) return;
    for (const { thenSend } of batches) if (thenSend.length > 0) this.#events.send(thenSend);
    this.#events.persisted(batches.at(-1)!.batch);
  }

  #takePersists(): readonly Persist[] {
    const end = this.#waiting.findIndex((job) => typeof job === "function");
    const taken = end === -1 ? this.#waiting : this.#waiting.slice(0, end);
    this.#waiting = end === -1 ? [] : this.#waiting.slice(end);
    return taken as readonly Persist[];
  }
}

type Job = Persist | (() => Promise<void>);

/** One batch with the effect of all, in order: later entries truncate earlier ones from their index on; the newest hard state wins. */
export function mergePersists(batches: readonly Persist[]): WalBatch {
  if (batches.length === 1) return batches[0]!;
  const entries: Entry[] = [];
  let hardState: HardState | null = null;
  let liftsSuspicion = false;
  for (const batch of batches) {
    hardState = batch.hardState ?? hardState;
    liftsSuspicion ||= batch.liftsSuspicion === true;
    const from = batch.entries[0];
    if (from === undefined) continue;
    truncateFrom(entries, from);
    for (const entry of batch.entries) entries.push(entry);
  }
  return liftsSuspicion ? { entries, hardState, liftsSuspicion } : { entries, hardState };
}

function truncateFrom(entries: Entry[], from: Entry): void {
  const first = entries[0];
  if (first === undefined) return;
  const keep = Math.max(0, from.index - first.index);
  // A batch may reach below everything merged so far: the log's own truncation deals with that. It may never leave a gap.
  invariant(
    keep <= entries.length,
    `batch starts at ${from.index}, but the merged ones end at ${first.index + entries.length - 1}`,
  );
  entries.length = keep;
}
