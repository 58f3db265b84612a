import { type Refusal, refusal } from "#kernel";
import type { Replica, WatchOutput, WatchSpec } from "#replica";

export interface WatchFeedOutput {
  readonly batch: (batch: WatchOutput) => void;
  /** The last call: nothing follows. */
  readonly end: (refusal: Refusal) => void;
}

/**
 * One watch on its way to one reader. Counts the events that were handed on and not yet sent; a reader who falls behind by
 * `maxBufferedEvents` is ended with OVERLOADED at a named revision, never skipped over. The first snapshot is not counted:
 * the state itself bounds it.
 */
export class WatchFeed {
  readonly #output: WatchFeedOutput;
  readonly #maxBufferedEvents: number;
  #stop: (() => void) | null = null;
  #buffered = 0;
  #ended = false;

  constructor(maxBufferedEvents: number, output: WatchFeedOutput) {
    this.#maxBufferedEvents = maxBufferedEvents;
    this.#output = output;
  }

  start(replica: Replica, spec: WatchSpec): void {
    const stop = replica.watch(spec, { push: (batch) => this.#push(batch), end: (refusal) => this.#end(refusal) });
    // The replica may push, and even end, before it returns.
    if (this.#ended) stop();
    else this.#stop = stop;
  }

  /** Everything handed on so far has left for the reader. */
  sent(): void {
    this.#buffered = 0;
  }

  cancel(): void {
    this.#ended = true;
    this.#stop?.();
    this.#stop = null;
  }

  #push(batch: WatchOutput): void {
    if (this.#ended) return;
    this.#buffered += batch.events.length;
    if (this.#buffered > this.#maxBufferedEvents) {
      const why = `the reader is more than ${this.#maxBufferedEvents} events behind; watch again from revision ${batch.revision}`;
      this.#end(refusal("OVERLOADED", why));
      return;
    }
    this.#output.batch(batch);
  }

  #end(refused: Refusal): void {
    if (this.#ended) return;
    this.cancel();
    this.#output.end(refused);
  }
}
