import type { NodeId, Term } from "#kernel";
import type { RaftStatus } from "#raft";
import type { Observer } from "../observer.ts";
import type { CheckerReport } from "./checker.ts";
import type { NodeLogs } from "./node-logs.ts";

/** §5.4: whatever any leader ever committed is in the log of every later leader, at the moment of its election. */
export class LeaderCompleteness implements Observer {
  readonly #logs: NodeLogs;
  readonly #report: CheckerReport;
  #newest = 0 as Term;

  constructor(logs: NodeLogs, report: CheckerReport) {
    this.#logs = logs;
    this.#report = report;
  }

  stepped(node: NodeId, _input: unknown, { role, term, lastIndex }: RaftStatus): void {
    if (role !== "leader" || term <= this.#newest) return;
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
}
