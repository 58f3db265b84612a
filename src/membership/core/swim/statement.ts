import type { NodeId, Incarnation } from "#kernel";
import { nextIncarnation } from "./incarnation.ts";
import type { MemberRecord } from "./types.ts";

// What is said about a member, made from what is held of it. Each is handed to `MemberTable.apply` like a word from outside.

export function suspectedBy(accuser: NodeId, held: MemberRecord): MemberRecord {
  return { ...held, state: "suspect", accuser };
}

export function deadBy(accuser: NodeId, held: MemberRecord): MemberRecord {
  return { ...held, state: "dead", accuser };
}

/** The operator's `forget`. `barrier` is `removalBarrier` of the incarnation known to the proposer of the command. */
export function removedAt(barrier: Incarnation, held: MemberRecord): MemberRecord {
  return { ...held, state: "removed", incarnation: barrier, accuser: null };
}

/**
 * The operator takes a removal back: the member counts as having left just above the barrier. It hears that when it calls
 * (or calls again), overrules it with a higher epoch, and is a member as before. Late copies of the removal stand below.
 */
export function readmitted(removed: MemberRecord): MemberRecord {
  return { ...removed, state: "left", incarnation: nextIncarnation(removed.incarnation), accuser: removed.id };
}
