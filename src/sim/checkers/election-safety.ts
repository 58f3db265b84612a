import type { NodeId, Term } from "#kernel";
import type { RaftStatus } from "#raft";
import type { Observer } from "../observer.ts";
import type { CheckerReport } from "./checker.ts";

/** §5.2: at most one leader per term, over the whole run, crashed leaders included. */
export class ElectionSafety implements Observer {
  readonly #report: CheckerReport;
  readonly #leaders = new Map<Term, NodeId>();

  constructor(report: CheckerReport) {
    this.#report = report;
  }

  stepped(node: NodeId, _input: unknown, { role, term }: RaftStatus): void {
    if (role !== "leader") return;
    const known = this.#leaders.get(term);
    if (known === undefined) this.#leaders.set(term, node);
    else if (known !== node) this.#report("election-safety", `${node} leads term ${term}, which ${known} has led`);
  }
}
