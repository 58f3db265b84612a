import type { ClusterTimeMs } from "#kernel";
import { Heap, type HeapNode } from "./heap.ts";

/** One alarm on the replicated clock. Every object has at most one: the earliest of the times at which it must act. */
export interface Timer extends HeapNode {
  deadlineMs: ClusterTimeMs;
  readonly kind: "session" | "work" | "lock";
  readonly key: string;
}

export type TimerHeap = Heap<Timer>;

export const timerHeap = (): TimerHeap => new Heap<Timer>(firesBefore);

export function newTimer(kind: Timer["kind"], key: string): Timer {
  return { position: -1, deadlineMs: 0 as ClusterTimeMs, kind, key };
}

/** Sets, moves or (with null) stops a timer. */
export function arm(heap: TimerHeap, timer: Timer, deadlineMs: number | null): void {
  if (deadlineMs === null) {
    if (timer.position !== -1) heap.remove(timer);
    return;
  }
  const unchanged = timer.deadlineMs === deadlineMs;
  timer.deadlineMs = deadlineMs as ClusterTimeMs;
  if (timer.position === -1) heap.push(timer);
  else if (!unchanged) heap.moved(timer);
}

/** The earlier of two deadlines, where null is "never". */
export function earlier(a: number | null, b: number | null): number | null {
  if (a === null) return b;
  return b === null || a < b ? a : b;
}

function firesBefore(a: Timer, b: Timer): boolean {
  if (a.deadlineMs !== b.deadlineMs) return a.deadlineMs < b.deadlineMs;
  if (a.kind !== b.kind) return a.kind < b.kind;
  return a.key < b.key;
}
