import { assertNever, type NodeId, compareIncarnations } from "#kernel";
import { handlePingRequest, passOnAck } from "./help.ts";
import { learn } from "./learn.ts";
import type { Message, Packet, RelayableMessage } from "./message.ts";
import { handleAck, handleIndirectAck, handleNack } from "./probe.ts";
import { compareDigests, handlePushPull } from "./push-pull.ts";
import { doubtReach, forward, handleRelayAnswer, handleRelayRequest } from "./relay.ts";
import { answer, type Source } from "./send.ts";
import type { SwimState } from "./state.ts";
import type { Stream } from "./streams.ts";
import type { Address, MemberRecord } from "./types.ts";

const OBSERVED_MAX = 16;
const OBSERVED_MS = 600_000;
const ACKS_AFTER_STALL = 10;

/** A packet that was sealed with the cluster's key: its sender is a member, or a newcomer. */
export function handlePacket(state: SwimState, packet: Packet, source: Source): void {
  if (!state.allow.allowsId(packet.sender)) return state.reject("not-allowed", source.kind === "datagram" ? source.from : null);
  if (packet.sender === state.id) return meetRival(state, packet, source);
  state.heardAt = state.now;
  if (source.kind === "datagram") state.uplinks.heardDatagram(state.now);
  compareProfiles(state, packet);
  if (state.members.get(packet.sender) !== null) compareDigests(state, packet.sender, packet.digest);
  for (const message of packet.messages) {
    if (state.isSilent) return;
    state.source = source;
    handleMessage(state, packet, message, source);
  }
  state.source = null;
}

function handleMessage(state: SwimState, packet: Packet, message: Message, source: Source): void {
  const { sender } = packet;
  const stream = source.kind === "stream" ? state.streams.get(source.stream) : undefined;
  switch (message.kind) {
    case "ping":
      return handlePing(state, packet, message, source);
    case "ack":
      learnOwnAddress(state, message.observed);
      return passOnAck(state, sender, message.probe) ? undefined : handleAck(state, sender, message.probe, source);
    case "ping-request":
      return handlePingRequest(state, message, sender, source);
    case "indirect-ack":
      return handleIndirectAck(state, sender, message.probe);
    case "nack":
      return handleNack(state, sender, message.probe);
    case "member": {
      const via = message.record.id === sender ? "first-hand" : "gossip";
      return learn(state, message.record, { from: sender, via, spread: true });
    }
    case "push-pull":
      return stream === undefined ? undefined : handlePushPull(state, stream, sender, message);
    case "relay-request":
      return stream === undefined ? undefined : handleRelayRequest(state, stream, sender);
    case "relay-answer":
      return stream === undefined ? undefined : handleRelayAnswer(state, stream, message.granted);
    case "relayed":
      return handleRelayed(state, message, sender, source);
    default:
      return assertNever(message, "message");
  }
}

function handlePing(state: SwimState, packet: Packet, ping: Extract<Message, { readonly kind: "ping" }>, source: Source): void {
  if (ping.target !== state.id) return state.reject("wrong-target", source.kind === "datagram" ? source.from : null);
  state.uplinks.heardPing(state.now, wayOf(state, source));
  // Of a stream nothing is lost, and a client whose relay stays silent takes another one.
  if (source.kind !== "stream" && isStale(state)) return;
  const observed = source.kind === "datagram" ? source.from : null;
  const [accused, overruled] = [accusation(state, packet), refutation(state, packet)];
  const ack = { kind: "ack", probe: ping.probe, observed } as const;
  if (accused.length === 0) return answer(state, source, [ack, ...overruled]);
  // Both need not fit into one datagram.
  answer(state, source, [ack, ...accused]);
  if (overruled.length > 0) answer(state, source, overruled);
}

/**
 * After a long stall the socket holds the pings of all that time, and who sent the older ones has long got its verdict: a few
 * are answered, so that nobody answers dozens at once.
 */
function isStale(state: SwimState): boolean {
  const { timers, now, options, stalledAt } = state;
  const isOverdue = timers.next !== null && now - timers.next >= options.periodMs;
  if (!isOverdue && (stalledAt === null || now - stalledAt > options.verdictSlackMs)) {
    state.overdueAcks = 0;
    return false;
  }
  state.overdueAcks += 1;
  return state.overdueAcks > ACKS_AFTER_STALL;
}

/** Whoever is held dead or suspect and evidently speaks is told what it has to overrule. */
function accusation(state: SwimState, { sender, incarnation }: Packet): RelayableMessage[] {
  const held = state.members.get(sender);
  if (held === null || held.state === "alive" || compareIncarnations(incarnation, held.incarnation) > 0) return [];
  return held.state === "suspect" && !state.options.buddy ? [] : [{ kind: "member", record: held }];
}

/** Whoever accuses this node in the ping itself hears at once what overrules it; gossip may take its time. */
function refutation({ id, members }: SwimState, { messages }: Packet): RelayableMessage[] {
  const isAccused = messages.some(
    (message) =>
      message.kind === "member" &&
      message.record.id === id &&
      message.record.state !== "alive" &&
      compareIncarnations(members.self.incarnation, message.record.incarnation) > 0,
  );
  return isAccused ? [{ kind: "member", record: members.self }] : [];
}

function handleRelayed(
  state: SwimState,
  relayed: Extract<Message, { readonly kind: "relayed" }>,
  from: NodeId,
  source: Source,
): void {
  if (relayed.target !== state.id) return forward(state, relayed, from);
  if (source.kind === "relay") return;
  const { origin } = relayed;
  handlePacket(state, { ...relayed.packet, sender: origin }, { kind: "relay", through: source, origin });
}

/** Another process goes by this node's name. It is shown our claim and we look at its; both judge in the same way. */
function meetRival(state: SwimState, packet: Packet, source: Source): void {
  const asked = packet.messages.some((message) => message.kind === "ping" || message.kind === "push-pull");
  if (asked) answer(state, source, [{ kind: "member", record: state.members.self }]);
  if (asked) tellOfRival(state, packet, source);
  for (const record of packet.messages.flatMap(recordsOf)) {
    if (record.id === state.id) learn(state, record, { from: packet.sender, via: "gossip", spread: true });
  }
}

/** This node's claim stands above: it keeps the name, and somebody should look at the other machine. Told once in a life. */
function tellOfRival(state: SwimState, { incarnation }: Packet, source: Source): void {
  const theirs = placeOf(state, source);
  const { id, members } = state;
  if (state.rivalTold || theirs === null || compareIncarnations(incarnation, members.self.incarnation) >= 0) return;
  state.rivalTold = true;
  state.events.push({ kind: "conflict", id, ours: members.self.addresses, theirs: [theirs], survives: true });
}

function placeOf(state: SwimState, source: Source): Address | null {
  if (source.kind === "datagram") return source.from;
  return source.kind === "stream" ? (state.streams.get(source.stream)?.peer ?? null) : null;
}

function recordsOf(message: Message): readonly MemberRecord[] {
  if (message.kind === "member") return [message.record];
  return message.kind === "push-pull" ? message.records : [];
}

function compareProfiles(state: SwimState, { sender, profile }: Packet): void {
  if (profile === state.profile) return void state.mismatched.delete(sender);
  // Of strangers nothing is kept: one that becomes a member is compared again.
  if (state.mismatched.has(sender) || state.members.get(sender) === null) return;
  state.mismatched.add(sender);
  state.events.push({ kind: "profile-mismatch", peer: sender, ours: state.profile, theirs: profile });
}

/**
 * Told once for each address; behind some NATs it is another one for every peer, so of those that are seen only so many are told. One
 * that nobody has seen for a while makes room.
 */
function learnOwnAddress(state: SwimState, observed: Address | null): void {
  if (observed === null || state.members.self.addresses.includes(observed)) return;
  doubtReach(state);
  const isKnown = state.observed.delete(observed);
  const [oldest] = state.observed;
  if (oldest !== undefined && state.observed.size >= OBSERVED_MAX) {
    if (state.now - oldest[1] < OBSERVED_MS) return;
    state.observed.delete(oldest[0]);
  }
  state.observed.set(observed, state.now);
  if (isKnown) return;
  state.events.push({ kind: "observed-address", address: observed });
}

function wayOf(state: SwimState, source: Source): "datagram" | "stream" | "relay" {
  if (source.kind !== "stream") return source.kind;
  const use: Stream["use"] | undefined = state.streams.get(source.stream)?.use;
  return use?.kind === "uplink" || use?.kind === "client" ? "relay" : "stream";
}
