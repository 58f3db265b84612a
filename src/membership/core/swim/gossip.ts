import { MonotonicMs, type NodeId } from "#kernel";
import { BroadcastQueue } from "./broadcast-queue.ts";
import { gossipBytes } from "./codec.ts";
import { sendTo } from "./send.ts";
import type { SwimState } from "./state.ts";
import type { MemberRecord } from "./types.ts";

/** Has the word passed on, with probes and by the gossip tick, until enough members were told. */
export function spread(state: SwimState, record: MemberRecord): void {
  state.broadcasts.put(record.id, { kind: "member", record }, gossipBytes(record));
  wakeGossip(state);
}

/** Tells a few members what is new, beside what rides on probes. Rests while there is nothing to tell. */
export function gossipTick(state: SwimState): void {
  state.gossiping = false;
  // Verdicts of a node that is alone: kept until somebody is there to hear them, they would kill a healthy cluster.
  if (state.order.size === 0) state.broadcasts = new BroadcastQueue();
  for (const member of listeners(state)) {
    if (state.broadcasts.size > 0) sendTo(state, member, []);
  }
  if (state.broadcasts.size > 0) setTick(state, state.options.gossipIntervalMs);
}

/** The first tick comes at a random part of the interval: what woke us woke others, too. */
function wakeGossip(state: SwimState): void {
  if (!state.gossiping) setTick(state, state.options.gossipIntervalMs * state.random());
}

function setTick(state: SwimState, waitMs: number): void {
  state.gossiping = true;
  state.timers.set(MonotonicMs(state.now + waitMs), { kind: "gossip" });
}

/** Members present, and now and then in place of one of them one that died lately, so that it hears of it if it lives. */
function listeners(state: SwimState): MemberRecord[] {
  const dead = state.random() < 0.25 ? lateDead(state) : null;
  const fanOut = state.options.gossipFanOut - (dead === null ? 0 : 1);
  const ids = state.order.sample(fanOut, () => true);
  return [...(dead === null ? ids : [...ids, dead])].map((id) => state.members.get(id)!);
}

function lateDead(state: SwimState): NodeId | null {
  const late = state.deaths.filter(({ at }) => state.now - at <= state.options.gossipToDeadMs);
  const drawn = late[Math.floor(state.random() * late.length)];
  return drawn !== undefined && state.members.get(drawn.id)?.state === "dead" ? drawn.id : null;
}
