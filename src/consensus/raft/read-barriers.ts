import { type LogIndex, type Outcome, type Refusal, accepted, refusal, refused } from "#kernel";
import type { ReadId } from "#raft";

/**
 * Linearizable read points, shared: all callers of one loop turn wait for one round of heartbeats. A barrier takes no more
 * callers once its turn ends, because a write may be answered in the next one and a later read has to see it.
 *
 * Not shared where a lease may answer: the answer holds for the clock reading that came with the question, and the process may
 * have been paused, and superseded, in the middle of a turn.
 */
export class ReadBarriers {
  readonly #ask: (readId: ReadId) => void;
  readonly #isShared: boolean;
  readonly #waiting = new Map<ReadId, Barrier>();
  #open: Barrier | null = null;
  #lastId = 0;
  #stopped = false;

  constructor(ask: (readId: ReadId) => void, isShared: boolean) {
    this.#ask = ask;
    this.#isShared = isShared;
  }

  join(): Promise<Outcome<LogIndex>> {
    if (this.#stopped) return Promise.resolve(refused(stopping));
    if (this.#open !== null) return this.#open.promise;
    const readId = ++this.#lastId as ReadId;
    const barrier = Promise.withResolvers<Outcome<LogIndex>>();
    this.#waiting.set(readId, barrier);
    if (this.#isShared) this.#open = barrier;
    this.#ask(readId);
    return barrier.promise;
  }

  /** A turn must come that ends it. */
  get isOpen(): boolean {
    return this.#open !== null;
  }

  /** The next caller gets a barrier of its own. */
  seal(): void {
    this.#open = null;
  }

  grant(readId: ReadId, index: LogIndex): void {
    this.#settle(readId, accepted(index));
  }

  reject(readId: ReadId, why: Refusal): void {
    this.#settle(readId, refused(why));
  }

  stop(): void {
    this.#stopped = true;
    for (const readId of this.#waiting.keys()) this.reject(readId, stopping);
  }

  #settle(readId: ReadId, outcome: Outcome<LogIndex>): void {
    this.#waiting.get(readId)?.resolve(outcome);
    this.#waiting.delete(readId);
  }
}

type Barrier = PromiseWithResolvers<Outcome<LogIndex>>;

const stopping = refusal("UNAVAILABLE", "this node is stopping");
