import { NodeId, type Incarnation } from "#kernel";
import type { Address, MemberRecord } from "#membership/core";
import { canonicalAddress, splitPlace } from "./address.ts";

const FORMAT_VERSION = 1;
const MAX_MEMBERS = 20_000;

/** What a node keeps of the others across a restart: whom to ask, and who must not come back. */
export interface RememberedMembers {
  readonly members: readonly MemberRecord[];
  /** Wall time of the writing; null where nothing was remembered. */
  readonly writtenAtMs: number | null;
}

/** Of a view, those that are worth remembering. The dead and the left are asked for by the others. */
export function worthRemembering(records: readonly MemberRecord[], self: NodeId): readonly MemberRecord[] {
  return records.filter(({ id, state }) => id !== self && state !== "dead" && state !== "left").slice(0, MAX_MEMBERS);
}

/** Equal for members that a restart would find alike: suspicions and refutations come and go. */
export function rememberedAs(members: readonly MemberRecord[]): string {
  return JSON.stringify(members.map(({ id, state, addresses }) => [id, state === "removed", addresses]));
}

export function encodeMembers(members: readonly MemberRecord[], nowMs: number): string {
  const kept = members.map(({ id, incarnation, state, addresses }) => ({
    id,
    epoch: incarnation.epoch,
    counter: incarnation.counter,
    removed: state === "removed",
    addresses,
  }));
  return `${JSON.stringify({ format_version: FORMAT_VERSION, written_at_ms: nowMs, members: kept })}\n`;
}

/**
 * Null when it cannot be read: then nothing is remembered, and the seeds know who is there. A member that cannot be read is lost alone.
 */
export function decodeMembers(text: string): RememberedMembers | null {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    return null;
  }
  const { format_version: version, written_at_ms: writtenAtMs, members } = (parsed ?? {}) as Readonly<Record<string, unknown>>;
  if (version !== FORMAT_VERSION || typeof writtenAtMs !== "number" || !Array.isArray(members)) return null;
  const read = members.slice(0, MAX_MEMBERS).map(readMember);
  return { writtenAtMs, members: read.filter((member) => member !== null) };
}

function readMember(kept: unknown): MemberRecord | null {
  const { id, epoch, counter, removed, addresses } = (kept ?? {}) as Readonly<Record<string, unknown>>;
  if (typeof id !== "string" || !/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/.test(id)) return null;
  const incarnation = readIncarnation(epoch, counter);
  if (incarnation === null || typeof removed !== "boolean" || !Array.isArray(addresses)) return null;
  const known = addresses.filter((address): address is string => typeof address === "string").map(readAddress);
  return {
    id: NodeId(id),
    incarnation,
    state: removed ? "removed" : "alive",
    addresses: known.filter((address) => address !== null),
    reach: "direct",
    relays: [],
    metadata: { role: "", provider: "", capabilities: [], version: "", degraded: false, keys: [], voters: null },
    accuser: null,
  };
}

function readIncarnation(epoch: unknown, counter: unknown): Incarnation | null {
  return isU32(epoch) && isU32(counter) ? { epoch, counter } : null;
}

function isU32(value: unknown): value is number {
  return typeof value === "number" && Number.isInteger(value) && value >= 0 && value < 2 ** 32;
}

function readAddress(text: string): Address | null {
  return canonicalAddress(splitPlace(text));
}
