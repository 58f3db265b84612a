import type { LogIndex, NodeId, Term } from "#kernel";
import type { Configuration, RaftStatus } from "#raft";
import type { Observer } from "../observer.ts";
import type { CheckerReport } from "./checker.ts";
import type { NodeLogs } from "./node-logs.ts";
import { missingQuorum } from "./quorum.ts";

/**
 * §5.4: whatever any leader ever committed is in the log of every later leader, at the moment of its election. And when a leader
 * calls an entry committed, nobody without it could be elected (figure 8): that shows before the election does.
 */
export class LeaderCompleteness implements Observer {
  readonly #logs: NodeLogs;
  readonly #report: CheckerReport;
  #newest = 0 as Term;
  #secured: number = 0;
  /** Who has lost data may vote for anybody; the product keeps it from voting. */
  readonly #hurt = new Set<NodeId>();

  constructor(logs: NodeLogs, report: CheckerReport) {
    this.#logs = logs;
    this.#report = report;
  }

  diskFault(node: NodeId): void {
    this.#hurt.add(node);
  }

  stepped(node: NodeId, _input: unknown, { role, term, lastIndex, commitIndex, configuration }: RaftStatus): void {
    if (role !== "leader") return;
    if (term > this.#newest) this.#elected(node, term, lastIndex);
    if (commitIndex > this.#secured) this.#committed(node, commitIndex, configuration);
  }

  #elected(node: NodeId, term: Term, lastIndex: LogIndex): void {
    this.#newest = term;
    for (let index: number = this.#logs.committedIndex; index >= 1; index -= 1) {
      const committed = this.#logs.committedTerm(index);
      // Null: the leader has it behind its snapshot, which holds committed entries only.
      const own = this.#logs.termAt(node, index);
      if (index <= lastIndex && (own === null || committed === null || own === committed)) continue;
      const has = index > lastIndex ? "has nothing" : `has an entry of term ${own}`;
      return this.#report(
        "leader-completeness",
        `${node}, elected in term ${term}, ${has} at ${index}, committed in term ${committed}`,
      );
    }
  }

  #committed(leader: NodeId, index: LogIndex, configuration: Configuration): void {
    this.#secured = index;
    for (const candidate of configuration.voters) {
      if (this.#hurt.has(candidate) || this.#holds(candidate, index)) continue;
      const missing = missingQuorum(configuration, (voter) => !this.#hurt.has(voter) && this.#isUpToDate(candidate, voter));
      if (missing !== null) continue;
      const why = `${leader} commits index ${index}, and ${candidate} could be elected without it`;
      return this.#report("leader-completeness", why);
    }
  }

  #holds(node: NodeId, index: LogIndex): boolean {
    const own = this.#logs.termAt(node, index);
    const committed = this.#logs.committedTerm(index) ?? null;
    return this.#logs.lastIndex(node) >= index && (own === null || committed === null || own === committed);
  }

  /** Whether `voter` would find the candidate's log good enough (§5.4.1). */
  #isUpToDate(candidate: NodeId, voter: NodeId): boolean {
    const [lastIndex, voterIndex] = [this.#logs.lastIndex(candidate), this.#logs.lastIndex(voter)];
    const [lastTerm, voterTerm] = [this.#logs.termAt(candidate, lastIndex) ?? 0, this.#logs.termAt(voter, voterIndex) ?? 0];
    return lastTerm > voterTerm || (lastTerm === voterTerm && lastIndex >= voterIndex);
  }
}
