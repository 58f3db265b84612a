import { MonotonicMs, type NodeId } from "#kernel";
import type { SwimOptions } from "./options.ts";

/** How long a suspicion lasts at least and at most, and how many confirmations take it from one to the other. */
export interface SuspicionBounds {
  readonly minMs: number;
  readonly maxMs: number;
  readonly confirmations: number;
}

/**
 * Lifeguard's LHA-Suspicion: a suspicion starts long and shrinks with each independent accuser, because a verdict that
 * nobody else reaches says more about the accuser than about the accused. Alone it takes 97 % of the false deaths away.
 */
export class Suspicion {
  readonly startedAt: MonotonicMs;
  readonly #bounds: SuspicionBounds;
  readonly #accusers: Set<NodeId>;

  /** `accuser` opened the case; its own repetition confirms nothing. */
  constructor(startedAt: MonotonicMs, accuser: NodeId, bounds: SuspicionBounds) {
    this.startedAt = startedAt;
    this.#bounds = bounds;
    this.#accusers = new Set([accuser]);
  }

  /** True when `accuser` is new and counts: then the deadline has moved and the accusation is worth passing on. */
  confirm(accuser: NodeId): boolean {
    if (this.confirmations >= this.#bounds.confirmations || this.#accusers.has(accuser)) return false;
    this.#accusers.add(accuser);
    return true;
  }

  get confirmations(): number {
    return this.#accusers.size - 1;
  }

  /** When the member is to be declared dead. It may lie in the past: then at once. */
  get deadline(): MonotonicMs {
    return MonotonicMs(this.startedAt + suspicionTimeoutMs(this.confirmations, this.#bounds));
  }
}

/** `members`: those alive or suspect, this node included. */
export function suspicionBounds(
  members: number,
  options: Pick<SwimOptions, "periodMs" | "suspicionMultiplier" | "suspicionMaxMultiplier" | "suspicionConfirmations">,
): SuspicionBounds {
  const scale = Math.max(1, Math.log10(Math.max(1, members)));
  const minMs = Math.round(options.suspicionMultiplier * scale * options.periodMs);
  const maxMs = Math.round(options.suspicionMaxMultiplier * minMs);
  // Whoever waits for more accusers than there are others waits for the maximum every time.
  const others = members - 2;
  return { minMs, maxMs, confirmations: others < options.suspicionConfirmations ? 0 : options.suspicionConfirmations };
}

/** max(Min, Max − (Max − Min) · ln(C + 1) / ln(K + 1)): Lifeguard section IV.B. With K = 0 always the minimum. */
export function suspicionTimeoutMs(confirmations: number, bounds: SuspicionBounds): number {
  if (bounds.confirmations === 0) return bounds.minMs;
  const share = Math.log(confirmations + 1) / Math.log(bounds.confirmations + 1);
  return Math.max(bounds.minMs, Math.floor(bounds.maxMs - (bounds.maxMs - bounds.minMs) * share));
}
