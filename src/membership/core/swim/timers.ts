import type { MonotonicMs, NodeId } from "#kernel";
import type { ProbeNumber } from "./message.ts";
import type { StreamId } from "./types.ts";

/**
 * What falls due. A timer is a value and is never cancelled: it names the probe, suspicion or stream it was set for, and
 * whoever handles it looks whether that is still the one that runs.
 */
export type Timer =
  | { readonly kind: "period" }
  | { readonly kind: "probe-timeout"; readonly probe: ProbeNumber }
  | { readonly kind: "help-nack"; readonly probe: ProbeNumber }
  | { readonly kind: "help-over"; readonly probe: ProbeNumber }
  | { readonly kind: "ask-suspect"; readonly id: NodeId; readonly number: number }
  | { readonly kind: "suspicion"; readonly id: NodeId; readonly number: number }
  | { readonly kind: "gossip" }
  | { readonly kind: "push-pull" }
  | { readonly kind: "recheck"; readonly id: NodeId }
  | { readonly kind: "join"; readonly attempt: number }
  | { readonly kind: "heal" }
  | { readonly kind: "reconnect"; readonly id: NodeId; readonly attempt: number }
  | { readonly kind: "reap" }
  | { readonly kind: "calm"; readonly id: NodeId }
  | { readonly kind: "doubt-over" }
  | { readonly kind: "leave-over" }
  | { readonly kind: "enquire" }
  | { readonly kind: "enquiry-over" }
  | { readonly kind: "stream-over"; readonly stream: StreamId };

/** A verdict is given on silence; after a stall the answer may lie unread in the socket. */
export function isVerdict(timer: Timer): boolean {
  return VERDICTS.has(timer.kind);
}

const VERDICTS: ReadonlySet<Timer["kind"]> = new Set(["period", "probe-timeout", "suspicion", "help-nack", "doubt-over"]);

interface Due {
  readonly at: MonotonicMs;
  /** Equal times fall due in the order in which they were set. */
  readonly order: number;
  readonly timer: Timer;
}

/** A binary heap of timers: many inside, one deadline out. */
export class TimerHeap {
  readonly #heap: Due[] = [];
  #set = 0;

  get next(): MonotonicMs | null {
    return this.#heap[0]?.at ?? null;
  }

  set(at: MonotonicMs, timer: Timer): void {
    const heap = this.#heap;
    const due: Due = { at, order: this.#set++, timer };
    let hole = heap.length;
    heap.push(due);
    while (hole > 0) {
      const parent = (hole - 1) >> 1;
      if (!isBefore(due, heap[parent]!)) break;
      heap[hole] = heap[parent]!;
      hole = parent;
    }
    heap[hole] = due;
  }

  /** Takes the first timer that is due at `now`, with the time it was set for. */
  take(now: MonotonicMs): { readonly at: MonotonicMs; readonly timer: Timer } | null {
    const first = this.#heap[0];
    if (first === undefined || first.at > now) return null;
    const last = this.#heap.pop()!;
    if (last !== first) this.#sink(last);
    return first;
  }

  /** Takes whatever stands first and will mean nothing when it is due, so that nobody is woken for it. */
  skip(isMoot: (timer: Timer) => boolean): void {
    while (this.#heap.length > 0 && isMoot(this.#heap[0]!.timer)) this.take(this.#heap[0]!.at);
  }

  clear(): void {
    this.#heap.length = 0;
  }

  #sink(due: Due): void {
    const heap = this.#heap;
    let hole = 0;
    for (;;) {
      const left = 2 * hole + 1;
      if (left >= heap.length) break;
      const right = left + 1;
      const child = right < heap.length && isBefore(heap[right]!, heap[left]!) ? right : left;
      if (!isBefore(heap[child]!, due)) break;
      heap[hole] = heap[child]!;
      hole = child;
    }
    heap[hole] = due;
  }
}

function isBefore(a: Due, b: Due): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order);
}
