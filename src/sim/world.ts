import type { NodeId, Random } from "#kernel";
import type { RunningReplica } from "#replica";
import type { WorldView } from "./observer.ts";

/**
 * The world as clients see it. A client talks to a node over a network that delays, loses and cuts like the one between the
 * nodes. Nothing here returns a promise; every callback runs as an event of its own.
 */
export interface ClientWorld extends WorldView {
  /** The load's own stream of random numbers. */
  readonly random: Random;
  /** On the world's clock: clients have no bad clocks. Not called any more once the run has ended. */
  after(delayMs: number, run: () => void): { cancel(): void };
  /**
   * Carries one request to `node`: after the way there, `serve` runs inside that node on its live replica, and may answer as
   * often as it likes (a watch), now or later; each answer takes the way back, in order. Returns how to hang up: nothing is
   * called then. What `serve` returns runs in the node once the connection is gone, so that it need not go on for nobody.
   */
  call<T>(
    node: NodeId,
    serve: (replica: RunningReplica, answer: (value: T) => void) => void | (() => void),
    caller: Caller<T>,
  ): () => void;
}

export interface Caller<T> {
  readonly onAnswer: (value: T) => void;
  /**
   * The connection broke, at most once and then nothing more comes: `refused` when the request provably never ran (no process
   * there), `reset` when it may have. A request or answer that the network swallowed is not told: time-outs are the caller's.
   */
  readonly onBroken: (how: "refused" | "reset") => void;
}

/** What the clients do in one run. Started when the first leader may be there; told to end when the run drains. */
export interface Load {
  /** No new operations begin from here on; those under way go on to their end. */
  drain(): void;
  /** Operations that are neither answered nor given up yet. */
  readonly open: number;
  /** Operations that were answered with success so far. */
  readonly acknowledged: number;
}
