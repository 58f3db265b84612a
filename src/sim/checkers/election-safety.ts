import type { NodeId, Term } from "#kernel";
import type { Message, RaftStatus } from "#raft";
import type { Observer } from "../observer.ts";
import type { CheckerReport } from "./checker.ts";
import { missingQuorum } from "./quorum.ts";

/**
 * §5.2: at most one leader per term, over the whole run, crashed leaders included; and each was given the votes of that term
 * by a quorum. An election won with less shows here at once, not after another candidate has won the same term.
 */
export class ElectionSafety implements Observer {
  readonly #report: CheckerReport;
  readonly #leaders = new Map<Term, NodeId>();
  /** Who has voted for a candidate in a term. */
  readonly #voters = new Map<string, Set<NodeId>>();

  constructor(report: CheckerReport) {
    this.#report = report;
  }

  sent(from: NodeId, to: NodeId, message: Message): void {
    if (message.kind !== "voteReply" || !message.granted) return;
    const election = `${to}/${message.term}`;
    const known = this.#voters.get(election);
    if (known === undefined) this.#voters.set(election, new Set([from]));
    else known.add(from);
  }

  stepped(node: NodeId, _input: unknown, { role, term, votedFor, configuration }: RaftStatus): void {
    if (role !== "leader") return;
    const known = this.#leaders.get(term);
    if (known === node) return;
    if (known !== undefined) return this.#report("election-safety", `${node} leads term ${term}, which ${known} has led`);
    this.#leaders.set(term, node);
    const voters = this.#voters.get(`${node}/${term}`);
    const missing = missingQuorum(configuration, (voter) => (voter === node ? votedFor === node : voters?.has(voter) === true));
    if (missing !== null) this.#report("election-safety", `${node} leads term ${term} by the votes of ${missing}`);
  }
}
