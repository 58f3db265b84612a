import { type MonotonicMs, type NodeId, compareIncarnations, type Incarnation } from "#kernel";
import { type MemberState } from "#membership/core";

/** What one voter says that it sees. */
export interface Testimony {
  /** Of that voter: 1 is healthy. */
  readonly healthMultiplier: number;
  readonly members: ReadonlyMap<NodeId, { readonly state: MemberState; readonly incarnation: Incarnation }>;
  /** Whom it lost at once, when that looks like a cut network; else null. */
  readonly partition: readonly NodeId[] | null;
}

export interface VoterView extends Testimony {
  /** A moment before which it cannot have been said. */
  readonly heardAt: MonotonicMs;
}

/** What the log holds about a node. */
export interface CommittedNode {
  readonly state: "UP" | "DOWN" | "EVICTED";
  readonly incarnation: Incarnation;
  readonly refuted: Incarnation | null;
}

export interface Evidence {
  readonly now: MonotonicMs;
  /** The leader, who asks. */
  readonly self: NodeId;
  /** The configuration in force; two halves while it is joint, and each needs its majority. */
  readonly voters: readonly (readonly NodeId[])[];
  /** The latest of every voter, the leader's own among them. */
  readonly views: ReadonlyMap<NodeId, VoterView>;
  readonly nodes: ReadonlyMap<NodeId, CommittedNode>;
  /** The side that the log holds for lost; null while it holds no partition suspected. */
  readonly partition: readonly NodeId[] | null;
}

/** Named and shaped like the leader's commands. */
export type Proposal =
  | {
      readonly kind: "nodeDown";
      readonly nodeId: NodeId;
      readonly incarnation: Incarnation;
      readonly observedBy: readonly NodeId[];
    }
  | {
      readonly kind: "nodeUp";
      readonly nodeId: NodeId;
      readonly incarnation: Incarnation;
      readonly observedBy: readonly NodeId[];
    }
  | { readonly kind: "partitionSuspected"; readonly lost: readonly NodeId[]; readonly observedBy: readonly NodeId[] }
  | { readonly kind: "partitionHealed"; readonly observedBy: readonly NodeId[] };

/** As in `converged`: a voter that is slower than this suspects itself before it suspects others. */
const MAX_HEALTH_MULTIPLIER = 3;
/** A view that is older says nothing: its voter may be cut off, or have changed its mind. */
export const MAX_VIEW_AGE_MS = 5_000;

/**
 * What the leader may propose to the log. Suspicion is never proposed, and a verdict only when a majority of the voters hold it
 * about the same life of the node, the newest that any of them has heard of: one voter that knows a newer one stops it. A voter
 * in bad health accuses nobody, and a leader in bad health, or without a view of its own, proposes nothing. Says nothing that
 * the log holds already, or has refused for good.
 */
export function proposalsOf(evidence: Evidence): readonly Proposal[] {
  const views = freshViews(evidence);
  const own = views.get(evidence.self);
  if (own === undefined || !isHealthy(own)) return [];
  const named = new Set([...views.values()].flatMap(({ members }) => [...members.keys()]));
  const about = [...named].toSorted().map((nodeId) => nodeProposal(evidence, views, nodeId));
  return [partitionProposal(evidence, views), ...about].filter((proposal) => proposal !== null);
}

/**
 * What there would be to propose if every voter saw what the leader sees: so the others need to be asked only when there is
 * news, and only about those whom it concerns.
 */
export function newsIn(evidence: Omit<Evidence, "views">, own: VoterView): readonly Proposal[] {
  return proposalsOf({ ...evidence, views: new Map(evidence.voters.flat().map((voter) => [voter, own])) });
}

type Views = ReadonlyMap<NodeId, VoterView>;

function isHealthy({ healthMultiplier }: Testimony): boolean {
  return healthMultiplier <= MAX_HEALTH_MULTIPLIER;
}

function freshViews({ voters, views, now }: Evidence): Views {
  const votes = new Set(voters.flat());
  return new Map([...views].filter(([voter, { heardAt }]) => votes.has(voter) && now - heardAt <= MAX_VIEW_AGE_MS));
}

function nodeProposal(evidence: Evidence, views: Views, nodeId: NodeId): Proposal | null {
  const incarnation = newestIncarnation(views, nodeId);
  const known = evidence.nodes.get(nodeId);
  if (known?.state === "EVICTED") return null;
  const saying = (state: MemberState, isWitness: (view: VoterView) => boolean = () => true) =>
    agreeing(evidence, views, (view) => {
      const member = view.members.get(nodeId);
      return isWitness(view) && member?.state === state && compareIncarnations(member.incarnation, incarnation) === 0;
    });
  if (known?.state === "DOWN") {
    // Newer than the verdict: dead in yet another life, or back.
    if (compareIncarnations(incarnation, known.incarnation) <= 0) return null;
    const alive = saying("alive");
    if (alive !== null) return { kind: "nodeUp", nodeId, incarnation, observedBy: alive };
  }
  if (known !== undefined && !mayBeDown(known, incarnation)) return null;
  const dead = saying("dead", isHealthy);
  return dead === null ? null : { kind: "nodeDown", nodeId, incarnation, observedBy: dead };
}

function mayBeDown({ incarnation: known, refuted }: CommittedNode, incarnation: Incarnation): boolean {
  return compareIncarnations(incarnation, known) >= 0 && (refuted === null || compareIncarnations(incarnation, refuted) > 0);
}

function newestIncarnation(views: Views, nodeId: NodeId): Incarnation {
  let newest: Incarnation = { epoch: 0, counter: 0 };
  for (const { members } of views.values()) {
    const incarnation = members.get(nodeId)?.incarnation;
    if (incarnation !== undefined && compareIncarnations(incarnation, newest) > 0) newest = incarnation;
  }
  return newest;
}

/** Suspected: those whom a majority, taken together, lost. Healed: a majority sees no cut any more. */
function partitionProposal(evidence: Evidence, views: Views): Proposal | null {
  const cut = agreeing(evidence, views, (view) => isHealthy(view) && view.partition !== null);
  if (cut !== null) {
    const candidates = [...new Set(cut.flatMap((voter) => views.get(voter)!.partition!))].toSorted();
    const lost = candidates.filter(
      (node) => agreeing(evidence, views, ({ partition }) => partition?.includes(node) ?? false) !== null,
    );
    const isNews = lost.length > 0 && lost.join("\n") !== evidence.partition?.toSorted().join("\n");
    return isNews ? { kind: "partitionSuspected", lost, observedBy: cut } : null;
  }
  if (evidence.partition === null) return null;
  const whole = agreeing(evidence, views, ({ partition }) => partition === null);
  return whole === null ? null : { kind: "partitionHealed", observedBy: whole };
}

/** The voters whose view `holds`, in order of their ids; null unless they are a majority of every half. */
function agreeing({ voters }: Evidence, views: Views, holds: (view: VoterView) => boolean): readonly NodeId[] | null {
  const observers = [...views].filter(([, view]) => holds(view)).map(([voter]) => voter);
  const isMajority = (half: readonly NodeId[]) => half.filter((voter) => observers.includes(voter)).length > half.length / 2;
  return voters.length > 0 && voters.every(isMajority) ? observers.toSorted() : null;
}
