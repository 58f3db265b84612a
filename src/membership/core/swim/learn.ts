import { assertNever, type NodeId } from "#kernel";
import { fallDormant } from "./dormant.ts";
import { spread } from "./gossip.ts";
import { isPlausible } from "./incarnation.ts";
import type { ApplySummary, Via } from "./member-table.ts";
import { noteDeath, notePartition } from "./partition.ts";
import { isPresent } from "./precedence.ts";
import { scheduleReconnect } from "./reconnect.ts";
import { refute } from "./self.ts";
import { answer, sendDatagram } from "./send.ts";
import type { SwimState } from "./state.ts";
import { deadBy, suspectedBy } from "./statement.ts";
import { beginSuspicion, confirmSuspicion, fallsNow } from "./suspecting.ts";
import type { MemberRecord, Reach } from "./types.ts";
import { listsOtherVoters } from "./voters-hash.ts";

/** How a statement reached this node. */
export interface Heard {
  readonly from: NodeId;
  readonly via: Via;
  /** A node that takes its first full view passes nothing of it on: everybody knows it. */
  readonly spread: boolean;
}

/** Every statement about a member comes through here; what it changes becomes gossip, events and timers in one place. */
export function learn(state: SwimState, seen: MemberRecord, heard: Heard): void {
  const held = state.members.get(seen.id);
  // Equal bytes are read as one and the same record (readRecord), and most of what is heard is held already.
  if (held === seen) return;
  if (seen.id !== state.id && !isAdmitted(state, seen)) return state.reject("not-allowed", null);
  // What this process says of others is its own verdict, the operator's or its memory's; of itself only a rival can speak in its name.
  const isOwnWord = heard.from === state.id && seen.id !== state.id;
  if (!isOwnWord && !isPlausible(seen.incarnation, held?.incarnation ?? null)) return state.reject("implausible", null);
  const summary = state.members.apply(state.now, seen, heard.via);
  switch (summary.kind) {
    case "changed":
      return changed(state, summary, heard);
    case "confirmed":
      return confirmSuspicion(state, summary.member, summary.accuser);
    case "outdated":
      return summary.tell ? tell(state, heard.from, summary.held) : undefined;
    case "contested":
      for (const address of summary.held.addresses) sendDatagram(state, address, [{ kind: "member", record: summary.claimed }]);
      for (const address of summary.claimed.addresses) sendDatagram(state, address, [{ kind: "member", record: summary.held }]);
      return;
    case "refute":
      return refute(state, summary);
    case "yield":
      state.events.push({
        kind: "conflict",
        id: state.id,
        ours: state.members.self.addresses,
        theirs: summary.rival.addresses,
        survives: false,
      });
      return fallDormant(state, summary.rival);
    case "removed-self":
      state.events.push({ kind: "removed", member: summary.self });
      return fallDormant(state, null);
    case "known":
      return;
    case "refused":
      return summary.why === "full" ? refusedFull(state, seen) : undefined;
    default:
      return assertNever(summary, "summary");
  }
}

/** This node's own verdict on a member that did not answer: one more accuser, or the first. */
export function accuse(state: SwimState, id: NodeId): void {
  const held = state.members.get(id);
  if (held === null) return;
  learn(state, suspectedBy(state.id, held), { from: state.id, via: "gossip", spread: true });
}

/** The time to refute may be over. Timers of older suspicions, and of longer ones that were since confirmed, mean nothing. */
export function suspicionDue(state: SwimState, id: NodeId, number: number): void {
  const held = state.members.get(id);
  if (held === null || !fallsNow(state, id, number)) return;
  learn(state, deadBy(state.id, held), { from: state.id, via: "gossip", spread: true });
}

function changed(state: SwimState, summary: Extract<ApplySummary, { readonly kind: "changed" }>, heard: Heard): void {
  const { before, after } = summary;
  const reachBefore = before === null ? null : state.reachOf(before);
  state.changedAt = state.now;
  if (summary.presence === "appeared") state.order.add(after.id);
  if (summary.presence === "vanished") state.order.remove(after.id);
  if (after.state === "suspect") beginSuspicion(state, after);
  else state.suspicions.delete(after.id);
  if (summary.readdressed) {
    state.path(after.id).readdressed();
    if (heard.from === after.id && before !== null) lookAtOldAddress(state, before, after);
  }
  bury(state, summary);
  announce(state, summary);
  noteVoters(state, before, after);
  if (reachBefore !== null) notePath(state, after, reachBefore);
  if (summary.gossip && heard.spread) spread(state, after);
  if (before !== null && before.state !== after.state) notePartition(state, after.id);
}

/**
 * Whoever still stands there and goes by that name is a rival, and learns at once that the name has moved; the mover itself
 * knows it. Asked once, by those who heard of the change from the member: all others would be a crowd.
 */
function lookAtOldAddress(state: SwimState, before: MemberRecord, after: MemberRecord): void {
  if (!isPresent(before)) return;
  const ping = { kind: "ping", probe: state.newProbeNumber(), target: after.id } as const;
  for (const address of before.addresses) {
    if (!after.addresses.includes(address)) sendDatagram(state, address, [ping, { kind: "member", record: after }]);
  }
}

function refusedFull(state: SwimState, seen: MemberRecord): void {
  const { counters, options } = state;
  counters.refusedFull += 1;
  if (state.isFull) return;
  state.isFull = true;
  state.events.push({ kind: "members-full", refused: seen.id, maxMembers: options.maxMembers });
}

/** Told of the way as the view shows it, so that a member that names its relays does not seem to have been direct before. */
export function notePath(state: SwimState, member: MemberRecord, before: Reach): void {
  const now = state.reachOf(member);
  if (now !== before) state.events.push({ kind: "path-changed", id: member.id, before, now });
}

/** One odd list on many nodes is one finding; who has it stands in the view. */
function noteVoters(state: SwimState, before: MemberRecord | null, after: MemberRecord): void {
  const { members, events } = state;
  const own = members.self;
  const { voters: theirs } = after.metadata;
  if (own.metadata.voters === null || theirs === null || !listsOtherVoters(own, after)) return;
  const isSame = (record: MemberRecord): boolean => record.metadata.voters === theirs && listsOtherVoters(own, record);
  if ((before !== null && isSame(before)) || members.records().some((other) => other.id !== after.id && isSame(other))) return;
  events.push({ kind: "voters-mismatch", peer: after.id, ours: own.metadata.voters, theirs });
}

/** A flapping member has been calm, or will be later than it was thought. */
export function calm(state: SwimState, id: NodeId): void {
  const { flaps, now } = state;
  const at = flaps.calmAt(now, id);
  if (at !== null) return state.timers.set(at, { kind: "calm", id });
  state.events.push({ kind: "flapping", id, is: "over", flapsPerHour: flaps.flapsPerHour(now, id) });
}

function noteFlap(state: SwimState, id: NodeId): void {
  const { flaps, now } = state;
  const before = flaps.isFlapping(now, id);
  flaps.noteReturn(now, id);
  const at = flaps.calmAt(now, id);
  if (before || at === null) return;
  state.timers.set(at, { kind: "calm", id });
  state.events.push({ kind: "flapping", id, is: "begun", flapsPerHour: flaps.flapsPerHour(now, id) });
}

function bury(state: SwimState, { change, after }: Extract<ApplySummary, { readonly kind: "changed" }>): void {
  if (change === "died") {
    noteDeath(state, after.id);
    scheduleReconnect(state, after.id, 0);
  }
  scheduleReap(state);
}

/** Forgets the dead and the left whose time is over. */
export function reap(state: SwimState): void {
  state.reapAt = null;
  for (const id of state.members.expire(state.now)) {
    state.forget(id);
    state.isFull = false;
    notePartition(state, id);
  }
  scheduleReap(state);
}

function scheduleReap(state: SwimState): void {
  const at = state.members.nextExpiry;
  if (at === null || state.reapAt !== null) return;
  state.reapAt = at;
  state.timers.set(at, { kind: "reap" });
}

function announce(state: SwimState, summary: Extract<ApplySummary, { readonly kind: "changed" }>): void {
  const { change, before, after } = summary;
  if (before !== null && summary.readdressed) {
    state.events.push({ kind: "address-changed", member: after, before: before.addresses });
  }
  switch (change) {
    case "renewed":
      if (JSON.stringify(before!.metadata) !== JSON.stringify(after.metadata)) {
        state.events.push({ kind: "metadata-changed", member: after });
      }
      return;
    case "refuted":
      state.counters.suspicionsRefuted += 1;
      return void state.events.push({ kind: "refuted", member: after });
    case "recovered":
      state.events.push({ kind: "recovered", member: after });
      return noteFlap(state, after.id);
    case "joined":
    case "suspected":
    case "died":
    case "left":
    case "removed":
      return void state.events.push({ kind: change, member: after });
    case "buried":
      return;
    default:
      return assertNever(change, "change");
  }
}

/** Straight to whoever believes what is overruled: it may be the subject, restarted with too low an incarnation. */
function tell(state: SwimState, id: NodeId, held: MemberRecord): void {
  const source = state.source;
  if (id !== state.id && source !== null) answer(state, source, [{ kind: "member", record: held }]);
}

function isAdmitted(state: SwimState, record: MemberRecord): boolean {
  return state.allow.allowsId(record.id) && record.addresses.every((address) => state.allow.allowsAddress(address));
}
