import type { Call } from "./call.ts";

/** First in, first out. Calls that settled while they waited are passed over; taking is O(1) amortized. */
export class CallQueue {
  #calls: Call[] = [];
  #head = 0;

  push(call: Call): void {
    this.#calls.push(call);
  }

  /** The call that has waited longest and still wants to be sent, left in its place; null when there is none. */
  peek(): Call | null {
    while (this.#head < this.#calls.length) {
      const call = this.#calls[this.#head]!;
      if (call.place === "queued") return call;
      this.shift();
    }
    return null;
  }

  shift(): void {
    this.#head++;
    if (this.#head < this.#calls.length) return;
    this.#calls = [];
    this.#head = 0;
  }
}
