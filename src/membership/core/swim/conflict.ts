import { compareIncarnations } from "#kernel";
import { isPresent } from "./precedence.ts";
import type { Address, MemberRecord } from "./types.ts";

/** Former lives of this node that others may remember apart from each other, each under a higher incarnation than the last. */
const FORMER_LIVES = 5;

/**
 * Two processes claim this node's name. Only the member itself raises its incarnation, so a word about it that it never
 * said comes from a former life or from a rival. A former life does not answer: the first claim from an address is outbid
 * without more ado. A second one from there, not below our answer, is a rival that lives, and we yield.
 *
 * So the one whose incarnation is higher when they meet stays, after three changes of address at most; a newcomer
 * without a boot count of its own yields. Never both yield: each does only to a claim above its own last one, or, on a tie,
 * if its addresses are the greater ones.
 */
export class Rivals {
  readonly #outbid = new Set<string>();
  #outbidHere = 0;

  /** `seen` says that this node is alive, is not older than `own`, and is not what this node said. */
  judge(own: MemberRecord, seen: MemberRecord): "outbid" | "yield" {
    const rival = addressText(seen);
    if (rival === addressText(own)) return this.#judgeHere(own, seen);
    if (this.#outbid.has(rival) && (compareIncarnations(seen.incarnation, own.incarnation) > 0 || rival < addressText(own))) {
      return "yield";
    }
    this.#outbid.add(rival);
    return "outbid";
  }

  /**
   * From our own address a former life of ours has spoken, since two processes cannot hold one port. Unless a configuration was
   * copied to a second machine: then the claims never end.
   */
  #judgeHere(own: MemberRecord, seen: MemberRecord): "outbid" | "yield" {
    if (this.#outbidHere >= FORMER_LIVES && compareIncarnations(seen.incarnation, own.incarnation) > 0) return "yield";
    this.#outbidHere += 1;
    return "outbid";
  }
}

/**
 * One incarnation, two addresses, both present: a member changes its address under a new incarnation only, so these are
 * two processes. Seen by third parties; the two claimants learn of each other when they are told.
 */
export function isContested(held: MemberRecord, seen: MemberRecord): boolean {
  return (
    isPresent(held) &&
    isPresent(seen) &&
    compareIncarnations(held.incarnation, seen.incarnation) === 0 &&
    !sameAddresses(held.addresses, seen.addresses)
  );
}

export function sameAddresses(a: readonly Address[], b: readonly Address[]): boolean {
  return a.length === b.length && a.every((address, at) => address === b[at]);
}

function addressText(record: MemberRecord): string {
  return record.addresses.join(" ");
}
