import { MonotonicMs, type NodeId } from "#kernel";
import type { Message } from "./message.ts";
import { claim } from "./self.ts";
import { forwardTo, sendFrame, sendTo } from "./send.ts";
import type { SwimState } from "./state.ts";
import { type Stream, closeStream, openStream } from "./streams.ts";
import type { MemberRecord, Reach } from "./types.ts";

/** No direct ping for this many periods: others are asked to try. At one ping a period, chance does it once in 3,000. */
const ASK_AFTER_PERIODS = 8;
/** And for this many: the node cannot be reached. */
const RELAYED_AFTER_PERIODS = 11;
/** Enough for a node that was accused meanwhile although it hears others: two signs together are rarely chance. */
const RELAYED_IF_ACCUSED_PERIODS = 3;
/** So many pings a relay may leave unanswered, nor say anything else, before another one is taken. */
const SILENT_RELAY_PINGS = 3;
/** Half of the streams that a node takes: a relay must stay open for those that join, and for full exchanges. */
const CLIENTS_MAX = 128;

/** Once a period: is this node reachable, and does it hold as many relays as it needs? */
export function tendPaths(state: SwimState): void {
  const { options, uplinks, now, members } = state;
  closeSilent(state);
  if (state.lifecycle !== "joined" || options.relays === 0 || state.order.size === 0) return;
  const { reach } = members.self;
  const quiet = uplinks.quietPeriods(now);
  if (reach === "direct") {
    // It may have been seen there before it knew two others.
    if (isSeenElsewhere(state)) doubtReach(state);
    const enough = wasAccused(state) ? RELAYED_IF_ACCUSED_PERIODS : RELAYED_AFTER_PERIODS;
    if ((quiet >= enough || uplinks.isUnreached) && hearsOthers(state)) seekRelays(state);
    else if (quiet >= ASK_AFTER_PERIODS && hearsOthers(state)) askToBePinged(state);
  } else if (uplinks.hasRecovered(now)) {
    for (const stream of uplinks.streams) closeStream(state, stream);
    claim(state, { reach: "direct", relays: [] });
    return;
  } else {
    for (const stream of uplinks.unfit((relay) => canRelay(state, relay))) closeStream(state, stream);
    seekRelays(state);
  }
  keepAlive(state);
  declare(state);
}

/**
 * A peer sees this node where it does not say that it is: behind a NAT, or by a way out that is not its way in. Before others
 * ping it in vain and accuse it, it has strangers ping it, and opens uplinks meanwhile. Who is seen where it says asks nobody.
 */
export function doubtReach(state: SwimState): void {
  const { lifecycle, options, members, order, uplinks, timers, now } = state;
  if (lifecycle !== "joined" || options.relays === 0 || members.self.reach !== "direct") return;
  // It takes two: one that is asked, and a stranger.
  if (order.size < 2 || !uplinks.beginDoubt()) return;
  askToBePinged(state);
  seekRelays(state);
  timers.set(MonotonicMs(now + options.probeTimeoutMs), { kind: "doubt-over" });
}

function isSeenElsewhere({ observed, members }: SwimState): boolean {
  return [...observed.keys()].some((address) => !members.self.addresses.includes(address));
}

/** A stranger's ping has come, and the uplinks are not needed; or none has, and this node says how it is reached. */
export function settleDoubt(state: SwimState): void {
  const { uplinks } = state;
  uplinks.endDoubt();
  if (uplinks.isUnreached) return declare(state);
  if (state.members.self.reach === "direct") for (const stream of uplinks.streams) closeStream(state, stream);
}

/** The first frame on an uplink of ours. */
export function askForRelay(state: SwimState, stream: Stream): void {
  sendFrame(state, stream.id, [{ kind: "relay-request" }]);
}

export function handleRelayAnswer(state: SwimState, stream: Stream, granted: boolean): void {
  if (!granted) return closeStream(state, stream.id);
  state.uplinks.granted(stream.id);
  declare(state);
}

/** Another member cannot be reached and asks to be reached through us. A newer stream of its replaces the older. */
export function handleRelayRequest(state: SwimState, stream: Stream, member: NodeId): void {
  const hasRoom = state.clients.size < CLIENTS_MAX || state.clients.has(member);
  const granted = state.members.self.reach === "direct" && hasRoom;
  sendFrame(state, stream.id, [{ kind: "relay-answer", granted }]);
  if (!granted) return;
  const older = state.clients.get(member);
  stream.use = { kind: "client", member };
  state.clients.set(member, stream.id);
  if (older !== undefined && older !== stream.id) closeStream(state, older);
}

/**
 * Passes a packet on: from a client of ours to anybody, from anybody to a client of ours. Nothing else, so a packet passes
 * two relays at most, and never in a circle.
 */
export function forward(state: SwimState, relayed: Extract<Message, { readonly kind: "relayed" }>, from: NodeId): void {
  const client = state.clients.get(relayed.target);
  if (client !== undefined) return sendFrame(state, client, [relayed]);
  if (relayed.origin !== from || !state.clients.has(from)) return;
  const target = state.members.get(relayed.target);
  if (target !== null) forwardTo(state, target, relayed);
}

/** Says how this node is reached, when that has changed. */
function declare(state: SwimState): void {
  const { uplinks, members } = state;
  const { relays } = uplinks;
  // Whoever is leaving says nothing about itself any more but that.
  if (relays.length === 0 || uplinks.isInDoubt || state.lifecycle !== "joined") return;
  const own = members.self;
  // Once there are relays nobody opens streams to see whether they still come in.
  const reach: Reach = own.reach === "stream" || uplinks.takesStreams(state.now) ? "stream" : "relay";
  if (own.reach === "direct") uplinks.startCounting(state.now);
  if (own.reach !== reach || own.relays.join() !== relays.join()) claim(state, { reach, relays });
}

/** Two at a time, so that the death of one costs nothing. */
function seekRelays(state: SwimState): void {
  const { uplinks, options } = state;
  for (const candidate of candidates(state)) {
    if (uplinks.size >= options.relays) return;
    const to = state.path(candidate.id).preferred(candidate.addresses);
    if (to === null) continue;
    // Whoever is so slow to open would be a slow relay, or is as hidden as this node: the next one is asked.
    const use = { kind: "uplink", relay: candidate.id } as const;
    const stream = openStream(state, to, options.streamTimeoutMs, use, options.periodMs);
    uplinks.opened(stream, candidate.id);
  }
}

/** Voters and seeds first: they are meant to stay, and to be reached. After all others those who have refused of late, or did not answer. */
function candidates(state: SwimState): MemberRecord[] {
  const { uplinks, order, seeds, now } = state;
  const isMeantFor = ({ id, metadata }: MemberRecord): boolean =>
    metadata.role === "voter" || seeds.some((seed) => seed.id === id);
  const rank = (record: MemberRecord): number => (uplinks.hasDeclined(now, record.id) ? 2 : 0) + (isMeantFor(record) ? 0 : 1);
  const drawn = order.sample(order.size, (id) => canRelay(state, id) && !uplinks.asked(id)).map((id) => state.members.get(id)!);
  return drawn.toSorted((a, b) => rank(a) - rank(b));
}

function canRelay(state: SwimState, id: NodeId): boolean {
  const record = state.members.get(id);
  return record?.state === "alive" && record.reach === "direct" && !state.flaps.isFlapping(state.now, id);
}

/** A ping-request whose target is its sender: each helper has a third member ping the addresses that this node gives. */
function askToBePinged(state: SwimState): void {
  const { options, members } = state;
  const request = {
    kind: "ping-request",
    probe: state.newProbeNumber(),
    target: state.id,
    addresses: members.self.addresses,
    timeoutMs: options.periodMs,
  } as const;
  for (const helper of state.order.sample(options.indirectProbes, () => true)) {
    sendTo(state, members.get(helper)!, [request]);
  }
}

/**
 * A stream whose other end vanished, or that a NAT forgot, breaks only after a quarter of an hour of TCP's own attempts. So whoever depends
 * on a relay asks it once a period, and is not the last to know that its machine has crashed; the relay hears of its clients by that. After a
 * stall of its own a node waits for those until it has read.
 */
function closeSilent(state: SwimState): void {
  const { streams, uplinks, now, options, stalledAt } = state;
  for (const { id, use, heardAt, unanswered } of streams.values()) {
    if (use.kind === "uplink" && unanswered >= SILENT_RELAY_PINGS) {
      uplinks.silent(now, use.relay);
      closeStream(state, id);
    } else if (use.kind === "client" && now - Math.max(heardAt, stalledAt ?? heardAt) > 2 * options.keepaliveMs) {
      closeStream(state, id);
    }
  }
}

/** A ping, since the ack shows that the stream still carries both ways. */
function keepAlive(state: SwimState): void {
  for (const stream of state.streams.values()) {
    const { id, use } = stream;
    if (use.kind !== "uplink" || !state.uplinks.isGranted(id)) continue;
    stream.unanswered += 1;
    sendFrame(state, id, [{ kind: "ping", probe: state.newProbeNumber(), target: use.relay }]);
  }
}

function wasAccused({ accusedAt, now, options }: SwimState): boolean {
  return accusedAt !== null && now - accusedAt < ASK_AFTER_PERIODS * options.periodMs;
}

/** Somebody was heard a moment ago. Who hears nobody is cut off, and relays would not help. */
function hearsOthers(state: SwimState): boolean {
  return state.now - state.heardAt < ASK_AFTER_PERIODS * state.options.periodMs;
}
