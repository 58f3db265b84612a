import { type NodeId, type Outcome, type Term, accepted, refusal, refused } from "#kernel";
import type { Timer, Timers } from "#ports";
import type { RaftStatus } from "#raft";

/**
 * Callers that wait for the lead to move. The core ends a hand-over after an election timeout; once it has let go of the lead,
 * whoever wins is the answer, and `limitMs` bounds a cluster that cannot elect.
 */
export class PendingTransfers {
  readonly #limitMs: number;
  readonly #timers: Timers;
  #waiting: Waiting[] = [];

  constructor(limitMs: number, timers: Timers) {
    this.#limitMs = limitMs;
    this.#timers = timers;
  }

  wait(to: NodeId, term: Term): Promise<Outcome<NodeId>> {
    const { promise, resolve } = Promise.withResolvers<Outcome<NodeId>>();
    const limit = this.#timers.after(this.#limitMs, () => {
      const message = `the lead was let go for ${to}, and no leader is known ${this.#limitMs} ms after`;
      this.#settle(waiting, refused(refusal("TIMEOUT", message)));
    });
    const waiting: Waiting = { to, term, resolve, limit };
    this.#waiting.push(waiting);
    return promise;
  }

  observe({ term, role, leader, transferee }: RaftStatus): void {
    for (const waiting of this.#waiting) {
      if (term > waiting.term) {
        if (leader !== null) this.#settle(waiting, accepted(leader));
      } else if (role === "leader" && transferee !== waiting.to) {
        const why = transferee === null ? "was not ready within an election timeout" : `was given up for ${transferee}`;
        this.#settle(waiting, refused(refusal("TIMEOUT", `the hand-over to ${waiting.to} ${why}: nothing changed`)));
      }
    }
  }

  stop(): void {
    for (const waiting of this.#waiting) this.#settle(waiting, refused(refusal("UNAVAILABLE", "this node is stopping")));
  }

  #settle(waiting: Waiting, outcome: Outcome<NodeId>): void {
    waiting.limit.cancel();
    this.#waiting = this.#waiting.filter((other) => other !== waiting);
    waiting.resolve(outcome);
  }
}

interface Waiting {
  readonly to: NodeId;
  readonly term: Term;
  readonly resolve: (outcome: Outcome<NodeId>) => void;
  readonly limit: Timer;
}
