import { MonotonicMs, type NodeId } from "#kernel";
import { BroadcastQueue } from "./broadcast-queue.ts";
import { gossipBytes } from "./codec.ts";
import { sendTo } from "./send.ts";
import type { SwimState } from "./state.ts";
import type { MemberRecord } from "./types.ts";

/** Of the ticks in which one of the receivers is a dead one. */
const TO_DEAD_SHARE = 0.25;

/** Has the word passed on, with probes and by the gossip tick, until enough members were told. */
export function spread(state: SwimState, record: MemberRecord): void {
  const bytes = gossipBytes(record);
  if (bytes > state.wire.gossipRoom) {
    // It would wait in the queue for ever, and keep the ticks going. Full exchanges bring it, as soon as somebody sees another digest.
    state.broadcasts.drop(record.id);
    return state.selfHealed("a record too long for our datagrams goes by streams");
  }
  state.broadcasts.put(record.id, { kind: "member", record }, bytes);
  wakeGossip(state);
}

/**
 * Tells a few members what is new. Rests while there is nothing to tell. Whatever was sent since the last tick has told somebody,
 * too, and counts: so news goes as fast as ever, and a node in trouble does not send its most just then.
 */
export function gossipTick(state: SwimState): void {
  state.gossiping = false;
  const told = state.carriers;
  const dead = latelyDead(state);
  // What a node concludes while it is alone stays with it: kept until somebody is there to hear it, it would be spread as news.
  if (state.order.size === 0 && dead.length === 0) state.broadcasts = new BroadcastQueue();
  for (const member of listeners(state, dead, told)) {
    if (state.broadcasts.size > 0) sendTo(state, member, []);
  }
  state.carriers = 0;
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
function listeners(state: SwimState, dead: readonly NodeId[], told: number): MemberRecord[] {
  const drawn = state.random() < TO_DEAD_SHARE ? dead[Math.floor(state.random() * dead.length)] : undefined;
  const fanOut = Math.max(0, state.options.gossipFanOut - told - (drawn === undefined ? 0 : 1));
  const ids = state.order.sample(fanOut, () => true);
  return [...ids, ...(drawn === undefined ? [] : [drawn])].map((id) => state.members.get(id)!);
}

function latelyDead({ deaths, members, now, options }: SwimState): NodeId[] {
  return deaths
    .filter(({ id, at }) => now - at <= options.gossipToDeadMs && members.get(id)?.state === "dead")
    .map(({ id }) => id);
}
