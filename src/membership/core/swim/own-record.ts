import { MAX_KEYS } from "./keyring.ts";
import { whyNotRecord } from "./record-codec.ts";
import type { SwimOptions } from "./options.ts";
import type { MemberRecord } from "./types.ts";
import { recordRoomOf } from "./wire.ts";

/** What a process says of its own member. */
export type OwnWords = Pick<MemberRecord, "id" | "addresses" | "metadata">;

/**
 * Why datagrams of these options would be too short for such a member, and a sentence with the numbers; null when they are not.
 * Judged with room for what comes in time: higher incarnations, and the keys of a rotation.
 */
export function whyNotTold({ id, addresses, metadata }: OwnWords, options: Pick<SwimOptions, "datagramBytes">): string | null {
  const keys = Array.from({ length: MAX_KEYS }, () => 0);
  const incarnation = { epoch: 0xffff_ffff, counter: 0xffff_ffff };
  const said = { id, addresses, incarnation, metadata: { ...metadata, keys } };
  const longest: MemberRecord = { ...said, state: "alive", reach: "direct", relays: [], accuser: null };
  return whyNotRecord(longest, recordRoomOf(options));
}
