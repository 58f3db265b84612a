import { type LogIndex, type NodeId, type Term, assertNever, incarnationText } from "#kernel";
import type { Clock, Log, LogFields, Timer, Timers } from "#ports";
import {
  type CommittedNode,
  type Evidence,
  type Proposal,
  type Testimony,
  type VoterView,
  newsIn,
  proposalsOf,
} from "./evidence.ts";
import { type Removal, removalsOf } from "./removals.ts";

/** What this voter has applied, all of one moment. */
export interface Committed {
  /** Up to here. */
  readonly index: LogIndex;
  /** Null unless this voter leads and something of its term is committed: before that it may not know what the log holds. */
  readonly leads: { readonly term: Term; readonly voters: Evidence["voters"] } | null;
  readonly nodes: ReadonlyMap<NodeId, CommittedNode>;
  readonly partition: Evidence["partition"];
}

export interface VerdictPorts {
  readonly clock: Clock;
  readonly timers: Timers;
  readonly log: Log;
  /** This node's own view, as {@link testimonyOf} gives it. Never rejects. */
  readonly look: (about: readonly NodeId[]) => Promise<Testimony | null>;
  /** Another voter's view of `about`; null when it has none or does not answer in time. Never rejects. */
  readonly ask: (voter: NodeId, about: readonly NodeId[]) => Promise<Testimony | null>;
  /** Null while nothing may be recorded about nodes. */
  readonly committed: () => Promise<Committed | null>;
  /** Puts all of them into the log, in this order and without gaps; null: none. */
  readonly propose: (proposals: readonly Proposal[]) => { readonly term: Term; readonly firstIndex: LogIndex } | null;
  /** For this node's own SWIM. */
  readonly remove: (removals: readonly Removal[]) => void;
  readonly onProposed: (kind: Proposal["kind"]) => void;
}

const LOOK_MS = 1_000;
/** A cluster that falls apart must not fill the log with obituaries: the rest follows in the next rounds. */
export const MAX_PER_ROUND = 50;
/** What the log has refused (it is full of records, say) is not offered in every round. */
export const REPEAT_MS = 5_000;

/**
 * Closes the loop between the detectors and the log, on every voter: what the log says of removed nodes goes to this node's
 * SWIM; and while this voter leads, what a majority of the voters sees goes into the log.
 *
 * The leader asks the others, and only when its own view holds news. An answer counts from the moment of the question, so
 * nothing that lay on its way for long can pass for fresh. What was decided is not kept: the next round starts from the log.
 */
export class Verdicts {
  readonly #self: NodeId;
  readonly #ports: VerdictPorts;
  readonly #timer: Timer;
  /** In this leadership, by what it says: on its way, or answered by the log with no. */
  #proposed = new Map<string, { readonly term: Term; readonly index: LogIndex; readonly atMs: number }>();
  #isBusy = false;
  #isClosed = false;

  constructor(self: NodeId, ports: VerdictPorts) {
    this.#self = self;
    this.#ports = ports;
    this.#timer = ports.timers.every(LOOK_MS, () => this.#begin());
  }

  close(): void {
    this.#isClosed = true;
    this.#timer.cancel();
  }

  /** One round after the other; one that waits for answers is not overtaken. */
  #begin(): void {
    if (this.#isBusy) return;
    this.#isBusy = true;
    void this.#round().finally(() => {
      this.#isBusy = false;
    });
  }

  async #round(): Promise<void> {
    const startedAt = this.#now();
    const before = await this.#ports.committed();
    const own = before === null ? null : await this.#ports.look(notable(before.nodes));
    if (before === null || own === null || this.#isClosed) return;
    const removals = removalsOf(this.#self, before.nodes, own);
    if (removals.length > 0) this.#ports.remove(removals);
    if (before.leads !== null) await this.#decide(before, before.leads, { ...own, heardAt: startedAt });
  }

  async #decide(before: Committed, { term, voters }: NonNullable<Committed["leads"]>, own: VoterView): Promise<void> {
    const news = newsIn({ ...before, now: this.#now(), self: this.#self, voters }, own);
    if (news.length === 0) return;
    const about = news.flatMap((proposal) => ("nodeId" in proposal ? [proposal.nodeId] : []));
    const views = await this.#views(voters, about, own);
    // The log has moved on meanwhile, and others may lead.
    const after = await this.#ports.committed();
    if (this.#isClosed || after?.leads?.term !== term) return;
    const evidence = { ...after, now: this.#now(), self: this.#self, voters: after.leads.voters, views };
    this.#propose(proposalsOf(evidence), after.index, term);
  }

  async #views(voters: Evidence["voters"], about: readonly NodeId[], own: VoterView): Promise<ReadonlyMap<NodeId, VoterView>> {
    const heardAt = this.#now();
    const others = [...new Set(voters.flat())].filter((voter) => voter !== this.#self);
    const answers = await Promise.all(others.map(async (voter) => [voter, await this.#ports.ask(voter, about)] as const));
    const told = answers.flatMap(([voter, view]) => (view === null ? [] : [[voter, { ...view, heardAt }] as const]));
    const wanted = new Set(about);
    const all: readonly (readonly [NodeId, VoterView])[] = [[this.#self, own], ...told];
    // A word about others is worth nothing: not everybody was asked about them.
    const concerning = ({ members, ...view }: VoterView): VoterView => ({
      ...view,
      members: new Map([...members].filter(([id]) => wanted.has(id))),
    });
    return new Map(all.map(([voter, view]) => [voter, concerning(view)]));
  }

  /** Synchronous: what is proposed and that it was proposed are one step. */
  #propose(proposals: readonly Proposal[], applied: LogIndex, term: Term): void {
    const now = this.#now();
    this.#forgetSettled(applied, term, now);
    const due = proposals.filter((proposal) => !this.#proposed.has(textOf(proposal))).slice(0, MAX_PER_ROUND);
    const placed = due.length === 0 ? null : this.#ports.propose(due);
    if (placed === null) return;
    for (const [offset, proposal] of due.entries()) {
      const index = (placed.firstIndex + offset) as LogIndex;
      this.#proposed.set(textOf(proposal), { term: placed.term, index, atMs: now });
      this.#ports.onProposed(proposal.kind);
      tell(this.#ports.log, proposal, index);
    }
  }

  /** Of another term: its fate is in the log, all of which this leader has. */
  #forgetSettled(applied: LogIndex, ofTerm: Term, now: number): void {
    const isOpen = ({ term, index, atMs }: { readonly term: Term; readonly index: LogIndex; readonly atMs: number }): boolean =>
      term === ofTerm && (index > applied || now - atMs < REPEAT_MS);
    this.#proposed = new Map([...this.#proposed].filter(([, proposed]) => isOpen(proposed)));
  }

  #now() {
    return this.#ports.clock.now().monotonicMs;
  }
}

/** Present members that a look must tell of all the same: the log holds that they are gone, or once did. */
function notable(nodes: ReadonlyMap<NodeId, CommittedNode>): readonly NodeId[] {
  return [...nodes].flatMap(([nodeId, { state, refuted }]) => (state === "UP" && refuted === null ? [] : [nodeId]));
}

function textOf(proposal: Proposal): string {
  switch (proposal.kind) {
    case "nodeDown":
    case "nodeUp":
      return `${proposal.kind} ${proposal.nodeId} ${incarnationText(proposal.incarnation)}`;
    case "partitionSuspected":
      return `${proposal.kind} ${proposal.lost.join(" ")}`;
    case "partitionHealed":
      return proposal.kind;
    default:
      return assertNever(proposal, "proposal");
  }
}

function tell(log: Log, proposal: Proposal, index: LogIndex): void {
  const fields = (own: LogFields): LogFields => ({ ...own, observed_by: proposal.observedBy.join(" "), index });
  switch (proposal.kind) {
    case "nodeDown":
    case "nodeUp": {
      const isDown = proposal.kind === "nodeDown";
      const about = { node: proposal.nodeId, incarnation: incarnationText(proposal.incarnation) };
      return log[isDown ? "warn" : "info"](isDown ? "node declared down" : "node is up again", fields(about));
    }
    case "partitionSuspected":
      return log.warn("a majority of voters lost nodes at once", fields({ lost: proposal.lost.join(" ") }));
    case "partitionHealed":
      return log.info("a majority of voters sees the lost nodes again", fields({}));
    default:
      return assertNever(proposal, "proposal");
  }
}
