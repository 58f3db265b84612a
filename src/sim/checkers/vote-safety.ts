import type { NodeId, Term } from "#kernel";
import type { BatchId, Entry, HardState, Message, RaftStatus } from "#raft";
import { type DiskFault, type Observer, losesData } from "../observer.ts";
import type { CheckerReport } from "./checker.ts";

/**
 * §5.2: a node votes for one candidate in a term, ever. Votes are kept here, outside the node, so that no restart hides
 * them; and what was durable must still be there when the node comes up.
 */
export class VoteSafety implements Observer {
  readonly #report: CheckerReport;
  readonly #votes = new Map<string, NodeId>();
  readonly #durable = new Map<NodeId, HardState>();

  constructor(report: CheckerReport) {
    this.#report = report;
  }

  sent(from: NodeId, _to: NodeId, message: Message): void {
    if (message.kind === "requestVote") this.#vote(from, message.term, from);
    else if (message.kind === "voteReply" && message.granted) this.#vote(from, message.term, message.to);
  }

  persisted(node: NodeId, _batch: BatchId, hardState: HardState | null, _entries: readonly Entry[]): void {
    if (hardState !== null) this.#durable.set(node, hardState);
  }

  started(node: NodeId, _life: number, { term, votedFor }: RaftStatus): void {
    const durable = this.#durable.get(node);
    if (durable === undefined || term > durable.term) return;
    if (term < durable.term) this.#report("vote-safety", `${node} came up in term ${term}, term ${durable.term} was durable`);
    else if (durable.votedFor !== null && votedFor !== durable.votedFor) {
      this.#report(
        "vote-safety",
        `${node} came up with its vote of term ${term} for ${votedFor}, it was for ${durable.votedFor}`,
      );
    }
  }

  /** A node whose disk was hurt may know less. Its votes still count. */
  diskFault(node: NodeId, fault: DiskFault): void {
    if (losesData(fault)) this.#durable.delete(node);
  }

  #vote(voter: NodeId, term: Term, candidate: NodeId): void {
    const key = `${voter}/${term}`;
    const known = this.#votes.get(key);
    if (known === undefined) this.#votes.set(key, candidate);
    else if (known !== candidate) this.#report("vote-safety", `${voter} voted for ${known} and for ${candidate} in term ${term}`);
  }
}
