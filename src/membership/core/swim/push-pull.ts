import { MonotonicMs, type NodeId } from "#kernel";
import { disagreementMs, pushPullIntervalMs } from "./derived.ts";
import { joinedThrough } from "./join.ts";
import { learn } from "./learn.ts";
import type { Message } from "./message.ts";
import { sendFrame, sendTo } from "./send.ts";
import type { SwimState } from "./state.ts";
import { type PushPullPurpose, type Stream, closeStream, openStream } from "./streams.ts";
import type { Digest, MemberRecord, StreamId } from "./types.ts";

/** Under the longest frame (1 MiB) even if each record were as long as one can be. */
const RECORDS_PER_FRAME = 500;

type PushPull = Extract<Message, { readonly kind: "push-pull" }>;

/** Full exchange with one random member, both ways: repairs whatever gossip missed. */
export function periodicPushPull(state: SwimState): void {
  const { options, order } = state;
  state.timers.set(MonotonicMs(state.now + pushPullIntervalMs(options, state.members.present)), { kind: "push-pull" });
  const [peer] = order.sample(1, (id) => takesStreams(state, id));
  if (peer !== undefined) startPushPull(state, state.members.get(peer)!, "periodic");
}

/** `connectMs`: how long to wait for the stream, where that is to be shorter than for the whole exchange. */
export function startPushPull(state: SwimState, peer: MemberRecord, purpose: PushPullPurpose, connectMs?: number): void {
  const to = state.path(peer.id).preferred(peer.addresses);
  if (to === null) return;
  state.counters.pushPulls += 1;
  openStream(state, to, state.options.streamTimeoutMs, { kind: "push-pull", purpose, peer: peer.id }, connectMs);
}

/** The stream for it is open: ours goes first. A node that joins knows nothing but itself. */
export function sendPushPull(state: SwimState, stream: StreamId, reply: boolean): void {
  const joining = !reply && state.lifecycle === "joining";
  const records = joining ? [state.members.self] : state.members.records();
  for (let at = 0; at < records.length; at += RECORDS_PER_FRAME) {
    const part = records.slice(at, at + RECORDS_PER_FRAME);
    const more = at + RECORDS_PER_FRAME < records.length;
    sendFrame(state, stream, [{ kind: "push-pull", reply, joining, more, records: part }]);
  }
}

/** Theirs has come: a request is answered with ours, by then with theirs in it. */
export function handlePushPull(state: SwimState, stream: Stream, from: NodeId, message: PushPull): void {
  const joining = state.lifecycle === "joining";
  for (const record of message.records) {
    if (message.joining && record.id !== from) continue;
    learn(state, record, { from, via: "sync", spread: !joining || record.id === from });
  }
  if (message.more) return;
  if (message.reply) closeStream(state, stream.id);
  else sendPushPull(state, stream.id, true);
  if (!message.joining) joinedThrough(state, from);
}

/**
 * Every packet brings its sender's digest. One that differs may be a mere moment behind or ahead of us, so it is asked
 * again; one that still differs, while our own view stood still, gets a full exchange.
 */
export function compareDigests(state: SwimState, peer: NodeId, theirs: Digest): void {
  const path = state.path(peer);
  path.heard(state.now, theirs);
  if (theirs === state.members.digest || state.lifecycle !== "joined") {
    path.differsSince = null;
    return;
  }
  const lastingMs = disagreementMs(state.options, state.members.present);
  if (path.differsSince === null || path.differsSince < state.changedAt) {
    path.differsSince = state.now;
    // Whoever is suspected may be heard without hearing: it would not answer, and the others would not be asked meanwhile.
    if (state.now < state.nextRecheckAt || state.members.get(peer)?.state === "suspect") return;
    state.nextRecheckAt = MonotonicMs(state.now + 2 * lastingMs);
    // Spread: many meet a newcomer within one second, and all of them would ask it in the same one.
    state.timers.set(MonotonicMs(state.now + lastingMs * (1 + 2 * state.random())), { kind: "recheck", id: peer });
  } else if (state.now - path.differsSince >= lastingMs && state.now >= state.nextRepairAt) {
    const record = state.members.get(peer);
    if (record === null || record.reach === "relay") return;
    state.nextRepairAt = MonotonicMs(state.now + state.options.repairIntervalMs);
    state.counters.repairs += 1;
    startPushPull(state, record, "repair");
  }
}

/** A ping for the digest in its ack; nobody waits for it. */
export function recheck(state: SwimState, peer: NodeId): void {
  const record = state.members.get(peer);
  const { differsSince } = state.path(peer);
  // What has changed here since then may have settled it: the next packet will tell.
  if (record === null || differsSince === null || differsSince < state.changedAt) return;
  sendTo(state, record, [{ kind: "ping", probe: state.newProbeNumber(), target: peer }]);
}

function takesStreams(state: SwimState, id: NodeId): boolean {
  const record = state.members.get(id)!;
  return record.state === "alive" && record.reach !== "relay";
}
