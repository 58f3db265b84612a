import type { NodeId, Incarnation } from "#kernel";
import { fnv1aOfText } from "./fnv1a.ts";
import { Digest, type MemberRecord, type MemberState } from "./types.ts";

/**
 * The digest of a whole view, kept up one member at a time. It is a sum, so the order does not matter and a change costs
 * one subtraction and one addition; a sum rather than an exclusive or, in which two equal hashes would vanish.
 *
 * The dead, the left and the removed do not count: nodes forget them at different times, and would disagree about nobody.
 * A member that is dead here and alive there still shows, since it counts there.
 */
export class RunningDigest {
  #sum = 0;

  get value(): Digest {
    return Digest(this.#sum);
  }

  /** `before` and `after` are of one member; null: not known. */
  replace(before: MemberRecord | null, after: MemberRecord | null): void {
    this.#sum = (this.#sum - part(before) + part(after)) >>> 0;
  }
}

function part(record: MemberRecord | null): number {
  return record === null || (record.state !== "alive" && record.state !== "suspect")
    ? 0
    : memberHash(record.id, record.incarnation, record.state);
}

/** u32 and the same on every node: it is compared across versions, so changing it means a rolling upgrade full of repairs. */
export function memberHash(id: NodeId, incarnation: Incarnation, state: MemberState): number {
  // FNV-1a over the id's UTF-16 units, then the numbers, then murmur3's last mix: a sum needs every bit to depend on all.
  let hash = mixed(fnv1aOfText(id) ^ incarnation.epoch);
  hash = mixed(hash ^ incarnation.counter);
  return mixed(hash ^ (state === "suspect" ? 1 : 0));
}

function mixed(word: number): number {
  let hash = Math.imul(word ^ (word >>> 16), 0x85eb_ca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2_ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
