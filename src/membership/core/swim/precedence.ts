import { compareIncarnations } from "#kernel";
import type { MemberRecord, MemberState } from "./types.ts";

/**
 * Within one incarnation the graver word holds: only the member itself takes an accusation back, by a higher incarnation.
 * `left` stands above `dead`, since the member's own goodbye says more than others' silence; `removed` above all.
 */
const gravity: Readonly<Record<MemberState, number>> = { alive: 0, suspect: 1, dead: 2, left: 3, removed: 4 };

/**
 * Which of two statements about one member holds: negative for `a`'s being overruled, 0 for equal, positive for `a`'s holding.
 * First the incarnation, then the gravity.
 *
 * This is a total order and a view keeps the maximum, so nodes that heard the same statements agree, in whatever order,
 * how often and by which way they came. An exception for one pair of states would break that: memberlist drops a second
 * death without recording its incarnation, so dead@1, dead@10 and a late alive@2 revive the member (al8n/memberlist#197).
 */
export function comparePrecedence(a: Statement, b: Statement): number {
  return compareIncarnations(a.incarnation, b.incarnation) || gravity[a.state] - gravity[b.state];
}

/** Alive or suspect: it is probed, gossiped to and counted. */
export function isPresent(record: Pick<MemberRecord, "state">): boolean {
  return record.state === "alive" || record.state === "suspect";
}

type Statement = Pick<MemberRecord, "incarnation" | "state">;
