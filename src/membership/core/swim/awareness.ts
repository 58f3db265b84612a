import type { SwimOptions } from "./options.ts";

/** How one probe round ended, as far as it tells something about this node. */
export type ProbeResult =
  | { readonly kind: "answered" }
  /** `nacksExpected`: helpers asked that can report; `nacksReceived`: those that did, or that brought the ack. */
  | { readonly kind: "unanswered"; readonly nacksExpected: number; readonly nacksReceived: number };

/**
 * Lifeguard's local health: a node that misses what others surely sent doubts itself and slows down, instead of accusing
 * them. The score runs from 0 (healthy) to `awarenessMax`; 0 as the maximum switches it off.
 */
export class Awareness {
  readonly #max: number;
  readonly #lagLimitMs: number;
  #score = 0;

  constructor(options: Pick<SwimOptions, "awarenessMax" | "lagLimitMs">) {
    this.#max = options.awarenessMax;
    this.#lagLimitMs = options.lagLimitMs;
  }

  /** 0 is healthy. */
  get score(): number {
    return this.#score;
  }

  /** Period and probe timeout are multiplied by this. Scaling only one of them lets probes overlap (al8n/memberlist#165). */
  get multiplier(): number {
    return this.#score + 1;
  }

  /**
   * An unanswered probe counts by its missing reports: helpers that say "no answer here either" prove that this node's own
   * traffic works, so the target is to blame. Where nobody could have reported, the failure itself counts.
   */
  afterProbe(result: ProbeResult): void {
    if (result.kind === "answered") this.#add(-1);
    else if (result.nacksExpected === 0) this.#add(1);
    else this.#add(Math.max(0, result.nacksExpected - result.nacksReceived));
  }

  /** Nobody was there to be asked, nor will be to tell that this node is well again: it does not doubt itself for ever. */
  afterIdlePeriod(): void {
    this.#add(-1);
  }

  /** Others took this node for dead or dying: it was probably slow to answer. */
  afterRefutation(): void {
    this.#add(1);
  }

  /** An event loop of this process came late by `lagMs`: whatever arrived in the meantime was judged late, too. */
  afterLag(lagMs: number): void {
    if (lagMs > this.#lagLimitMs) this.#add(1);
  }

  #add(delta: number): void {
    this.#score = Math.min(this.#max, Math.max(0, this.#score + delta));
  }
}
