import type { LogIndex } from "#kernel";

/**
 * The appends that one follower has not acknowledged yet: a window bounded by bytes. A window that holds anything below its
 * limit takes one more message whole, so a message larger than the window still passes.
 */
export class Inflights {
  readonly #maxBytes: number;
  /** Two parallel queues from `#head` on, so that a message in flight costs no object. */
  #lastIndexes: LogIndex[] = [];
  #sizes: number[] = [];
  #head = 0;
  #bytes = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  get full(): boolean {
    return this.#bytes >= this.#maxBytes;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** `lastIndex` must be above that of every message before it. */
  add(lastIndex: LogIndex, bytes: number): void {
    this.#lastIndexes.push(lastIndex);
    this.#sizes.push(bytes);
    this.#bytes += bytes;
  }

  /** Frees the messages that end at or before `matchIndex`; a stale acknowledgement frees nothing. */
  freeTo(matchIndex: LogIndex): void {
    let head = this.#head;
    while (head < this.#lastIndexes.length && (this.#lastIndexes[head] as LogIndex) <= matchIndex) {
      this.#bytes -= this.#sizes[head] as number;
      head++;
    }
    this.#head = head;
    if (head === this.#lastIndexes.length) this.clear();
    else if (head >= COMPACT_AFTER) this.#dropFreed();
  }

  clear(): void {
    this.#lastIndexes.length = 0;
    this.#sizes.length = 0;
    this.#head = 0;
    this.#bytes = 0;
  }

  #dropFreed(): void {
    this.#lastIndexes = this.#lastIndexes.slice(this.#head);
    this.#sizes = this.#sizes.slice(this.#head);
    this.#head = 0;
  }
}

/** Freed slots are dropped in bulk, so that freeing stays O(1) per message. */
const COMPACT_AFTER = 1024;
