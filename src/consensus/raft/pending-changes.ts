import { type LogIndex, type Outcome, type Term, accepted, refusal, refused } from "#kernel";
import { type Configuration, type RaftStatus, isJoint } from "#raft";

/**
 * Membership changes that this leader has appended and whose callers wait. One is done when a configuration at or behind its
 * index is committed and not joint: nothing of it is left to do. There is at most one that is not done, but callers of done
 * ones may be told in the same turn.
 */
export class PendingChanges {
  readonly #committedConfiguration: (at: LogIndex) => Configuration;
  #waiting: Waiting[] = [];

  /** `committedConfiguration` gives what is in force after a committed index. */
  constructor(committedConfiguration: (at: LogIndex) => Configuration) {
    this.#committedConfiguration = committedConfiguration;
  }

  get isEmpty(): boolean {
    return this.#waiting.length === 0;
  }

  wait(term: Term, index: LogIndex): Promise<Outcome<Configuration>> {
    const { promise, resolve } = Promise.withResolvers<Outcome<Configuration>>();
    this.#waiting.push({ term, index, resolve });
    return promise;
  }

  /**
   * A leader that removed itself still answers: what it knows to be committed in the term that it led is its own doing, even
   * when it leads no more.
   */
  observe({ term, role, commitIndex, leader }: RaftStatus): void {
    this.#waiting = this.#waiting.filter((change) => {
      if (change.term === term && commitIndex >= change.index) {
        const configuration = this.#committedConfiguration(commitIndex);
        if (!isJoint(configuration)) {
          change.resolve(accepted(configuration));
          return false;
        }
      }
      if (change.term === term && role === "leader") return true;
      const message = `leadership of term ${change.term} was lost before the change at ${change.index} was done: read the members again`;
      change.resolve(refused(refusal("UNKNOWN_OUTCOME", message, { leader })));
      return false;
    });
  }

  stop(): void {
    for (const { resolve } of this.#waiting) resolve(refused(refusal("UNKNOWN_OUTCOME", "this node is stopping")));
    this.#waiting = [];
  }
}

interface Waiting {
  readonly term: Term;
  readonly index: LogIndex;
  readonly resolve: (outcome: Outcome<Configuration>) => void;
}
