import { type LogIndex, NO_INDEX, type NodeId, type Term } from "#kernel";
import { type BatchId, type Entry, type HardState, type Message, type RaftStatus, type Ready, admissionOf } from "#raft";
import { type DiskFault, type Observer, losesData } from "../observer.ts";
import type { CheckerReport } from "./checker.ts";

/**
 * §5.2: a node votes for one candidate in a term, ever. Votes are kept here, outside the node, so that no restart hides
 * them; what was durable must still be there when the node comes up; and no vote leaves before it is, so that it does not
 * take a crash between the two, and a second candidate, to show.
 *
 * A node that was removed and added again is another voter of the same name: whoever counted the vote of the first did so before
 * the removal was committed, or knows that it does not count.
 */
export class VoteSafety implements Observer {
  readonly #report: CheckerReport;
  readonly #votes = new Map<string, NodeId>();
  readonly #durable = new Map<NodeId, HardState>();
  /** By which entry each is a member, as its own log last had it. */
  readonly #admissions = new Map<NodeId, LogIndex>();

  constructor(report: CheckerReport) {
    this.#report = report;
  }

  stepped(node: NodeId, _input: unknown, { configuration }: RaftStatus): void {
    const admission = admissionOf(configuration, node);
    if (admission !== null) this.#admissions.set(node, admission);
  }

  sent(from: NodeId, _to: NodeId, message: Message): void {
    if (message.kind === "requestVote") this.#vote(from, message.term, from);
    else if (message.kind === "voteReply" && message.granted) this.#vote(from, message.term, message.to);
  }

  persisted(node: NodeId, _batch: BatchId, hardState: HardState | null, _entries: readonly Entry[]): void {
    if (hardState !== null) this.#durable.set(node, hardState);
  }

  /** What is sent at once promises only what the disk has; the rest waits in the batch that is to be written. */
  drained(node: NodeId, { send }: Ready): void {
    for (const message of send) {
      if (message.kind === "requestVote") this.#leaves(node, message.term, node);
      else if (message.kind === "voteReply" && message.granted) this.#leaves(node, message.term, message.to);
    }
  }

  started(node: NodeId, _life: number, { term, votedFor }: RaftStatus): void {
    const durable = this.#durable.get(node);
    this.#durable.set(node, { term, votedFor });
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

  #leaves(voter: NodeId, term: Term, candidate: NodeId): void {
    const durable = this.#durable.get(voter);
    if (durable === undefined || durable.term > term || (durable.term === term && durable.votedFor === candidate)) return;
    this.#report("vote-safety", `the vote of ${voter} for ${candidate} in term ${term} leaves before it is durable`);
  }

  #vote(voter: NodeId, term: Term, candidate: NodeId): void {
    const key = `${voter}@${this.#admissions.get(voter) ?? NO_INDEX}/${term}`;
    const known = this.#votes.get(key);
    if (known === undefined) this.#votes.set(key, candidate);
    else if (known !== candidate) this.#report("vote-safety", `${voter} voted for ${known} and for ${candidate} in term ${term}`);
  }
}
