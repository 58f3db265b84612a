import type { NodeId } from "#kernel";
import { fnv1aOfText } from "./fnv1a.ts";
import { isPresent } from "./precedence.ts";
import { type MemberRecord, VotersHash } from "./types.ts";

/**
 * FNV-1a over the ids, in whatever order they are listed. Three files of one cluster once listed three sets of voters, and nobody
 * noticed. Addresses are not part of it: nodes may have to dial a voter in different ways, and the label keeps clusters apart.
 */
export function votersHashOf(voters: readonly NodeId[]): VotersHash {
  const hash = fnv1aOfText(
    voters
      .toSorted()
      .map((id) => `${id};`)
      .join(""),
  );
  return VotersHash(hash === 0 ? 1 : hash);
}

/** Whether `other` is present and says that its configuration lists other voters than `own` does. */
export function listsOtherVoters(own: MemberRecord, other: MemberRecord): boolean {
  const [ours, theirs] = [own.metadata.voters, other.metadata.voters];
  return isPresent(other) && ours !== null && theirs !== null && ours !== theirs;
}
