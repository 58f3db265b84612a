import { assertNever, type NodeId } from "#kernel";
import { packetBytes } from "./codec.ts";
import { retransmitLimit } from "./broadcast-queue.ts";
import type { Message, Packet, RelayableMessage, RelayedPacket } from "./message.ts";
import { isAccusingPing } from "./ping.ts";
import type { SwimState } from "./state.ts";
import type { Address, MemberRecord, StreamId } from "./types.ts";

/** Where a packet came from, and so where its answer goes: back the way it came, never to an advertised address. */
export type Source =
  | { readonly kind: "datagram"; readonly from: Address }
  | { readonly kind: "stream"; readonly stream: StreamId }
  /** `origin` speaks through a relay. */
  | { readonly kind: "relay"; readonly through: Exclude<Source, { readonly kind: "relay" }>; readonly origin: NodeId };

/** Answers whoever is at the other end of `source`. */
export function answer(state: SwimState, source: Source, messages: readonly RelayableMessage[]): void {
  switch (source.kind) {
    case "datagram":
      return sendDatagram(state, source.from, messages);
    case "stream":
      return sendFrame(state, source.stream, messages);
    case "relay":
      return sendThrough(state, source.through, source.origin, messages);
    default:
      return assertNever(source, "source");
  }
}

/**
 * By the member's best way: its address, or the stream that it (or its relay) holds open. A member without a direct path
 * gets the datagram too where `alsoDirect`: that is how it finds out that the path is back.
 */
export function sendTo(
  state: SwimState,
  member: MemberRecord,
  messages: readonly RelayableMessage[],
  alsoDirect: boolean = false,
): void {
  const uplink = state.uplinks.carrier();
  if (uplink !== null && !state.uplinks.datagramsWork(state.now)) {
    return sendThrough(state, { kind: "stream", stream: uplink }, member.id, messages);
  }
  const relayed = member.reach !== "direct" && sendByRelay(state, member, messages, 1);
  if (!relayed || alsoDirect) {
    const to = state.path(member.id).preferred(member.addresses);
    if (to !== null) sendDatagram(state, to, messages);
  }
}

/** Through up to `relays` of those that hold a stream of the member. False when there is none. */
export function sendByRelay(
  state: SwimState,
  member: MemberRecord,
  messages: readonly RelayableMessage[],
  relays: number,
): boolean {
  const own = state.clients.get(member.id);
  if (own !== undefined) {
    sendFrame(state, own, messages);
    return true;
  }
  const through = relaysOf(state, member).slice(0, relays);
  for (const relay of through) {
    const to = state.path(relay.id).preferred(relay.addresses);
    if (to !== null) sendThrough(state, { kind: "datagram", from: to }, member.id, messages);
  }
  return through.length > 0;
}

/** On a stream of ours: of any length, and without gossip. */
export function sendFrame(state: SwimState, stream: StreamId, messages: readonly Message[]): void {
  // The stream may have ended since the question came on it.
  if (!state.streams.has(stream)) return;
  const bytes = state.wire.frame(stream, { sender: state.id, ...head(state), messages });
  state.counters.bytesSent += bytes.length;
  state.transmissions.push({ kind: "stream-bytes", stream, bytes });
}

/** What room is left in the datagram carries gossip. */
export function sendDatagram(state: SwimState, to: Address, messages: readonly RelayableMessage[]): void {
  if (!state.isSilent) sendSealed(state, to, withGossip(state, messages, state.wire.room));
}

/** To `target`, through the relay (or for the relay's client: through the stream) at the other end of `through`. */
function sendThrough(
  state: SwimState,
  through: Extract<Source, { readonly kind: "datagram" | "stream" }>,
  target: NodeId,
  messages: readonly RelayableMessage[],
): void {
  if (state.isSilent) return;
  const packet: RelayedPacket = { ...head(state), messages: withGossip(state, messages, state.wire.relayedRoom) };
  const relayed: Message = { kind: "relayed", origin: state.id, target, packet };
  if (through.kind === "stream") sendFrame(state, through.stream, [relayed]);
  else sendSealed(state, through.from, [relayed]);
}

/** On its way from a client of ours to `target`, whatever its reach. */
export function forwardTo(state: SwimState, target: MemberRecord, relayed: Extract<Message, { readonly kind: "relayed" }>): void {
  const last = target.reach === "direct" ? target : relaysOf(state, target)[0];
  const to = last === undefined ? null : state.path(last.id).preferred(last.addresses);
  if (to !== null) sendSealed(state, to, [relayed]);
}

function relaysOf(state: SwimState, member: MemberRecord): MemberRecord[] {
  return member.relays
    .map((id) => state.members.get(id))
    .filter((relay) => relay !== null)
    .filter((relay) => relay.id !== state.id && relay.state === "alive" && relay.reach === "direct");
}

function sendSealed(state: SwimState, to: Address, messages: readonly Message[]): void {
  const packet: Packet = { sender: state.id, ...head(state), messages };
  // What others made is as long as their datagrams may be; ours may be set shorter.
  const foreign = messages.some(({ kind }) => kind === "relayed");
  if (foreign && packetBytes(packet) > state.wire.room) return state.selfHealed("a foreign packet over our datagram");
  const bytes = state.wire.datagram(packet);
  state.counters.datagramsSent += 1;
  state.counters.bytesSent += bytes.length;
  state.transmissions.push({ kind: "datagram", to, bytes });
}

function head(state: SwimState): Pick<Packet, "incarnation" | "digest" | "profile"> {
  const { self, digest } = state.members;
  return { incarnation: self.incarnation, digest, profile: state.profile };
}

/** Adds what gossip fits into `room` bytes beside the messages. */
function withGossip(state: SwimState, given: readonly RelayableMessage[], room: number): readonly RelayableMessage[] {
  const messages = fitting(state, given, room);
  // Whoever is accused may be dead: what rode along would count as told, and in a crash of many nobody would have heard it.
  if (state.broadcasts.size === 0 || isAccusingPing(given)) return messages;
  const left = room - packetBytes({ sender: state.id, ...head(state), messages });
  const limit = retransmitLimit(state.members.present, state.options);
  state.carriers += 1;
  return [...messages, ...state.broadcasts.take(left, limit)];
}

/** A ping goes without the record beside it, where others made that one for longer datagrams than ours. */
function fitting(state: SwimState, messages: readonly RelayableMessage[], room: number): readonly RelayableMessage[] {
  if (!messages.some(({ kind }) => kind === "member")) return messages;
  if (packetBytes({ sender: state.id, ...head(state), messages }) <= room) return messages;
  state.selfHealed("a record too long for our datagrams is left out");
  return messages.filter(({ kind }) => kind !== "member");
}
