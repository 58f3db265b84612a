import type { NodeId } from "#kernel";
import { isPresent } from "#membership/core";
import type { Testimony } from "./evidence.ts";
import type { MembershipLook } from "./membership.ts";

/**
 * What a node can say for the log: of everybody who is not there any more, and of those in `about`. Null where nobody's
 * incarnation is known: a node that only polls cannot tell a peer that came back from one that was never gone, and nobody could
 * refute it; and one that has not joined, or is no member itself, knows nothing.
 */
export function testimonyOf({ swim }: MembershipLook, about: readonly NodeId[]): Testimony | null {
  if (swim?.view.lifecycle !== "joined") return null;
  const { members, healthMultiplier, partition } = swim.view;
  const wanted = new Set(about);
  const told = members.filter(({ record }) => !isPresent(record) || wanted.has(record.id));
  return {
    healthMultiplier,
    partition,
    members: new Map(told.map(({ record: { id, state, incarnation } }) => [id, { state, incarnation }])),
  };
}
