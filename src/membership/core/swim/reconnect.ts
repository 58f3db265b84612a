import { MonotonicMs, type NodeId } from "#kernel";
import { accusingPing } from "./ping.ts";
import { startPushPull } from "./push-pull.ts";
import { sendTo } from "./send.ts";
import type { SwimState } from "./state.ts";

/** TCP asks a second time after a second: a machine that is gone for good is asked once. */
const ONE_SYN_MS = 900;
/** In larger clusters the pauses are longer by as much, so that all members together ask a dead one no more often, and one that is alone with its dead is not busy asking. */
const UNSTRETCHED_MEMBERS = 64;

/**
 * A dead member is tried again for as long as it is remembered: whoever was cut off comes back without help. The pause
 * doubles up to the longest one, with jitter, so that machines that never return cost next to nothing.
 */
export function scheduleReconnect(state: SwimState, id: NodeId, attempt: number): void {
  const { reconnectMinMs, reconnectMaxMs } = state.options;
  const stretch = Math.max(1, state.members.size / UNSTRETCHED_MEMBERS) * (0.75 + state.random() / 2);
  const pauseMs = Math.min(reconnectMaxMs, reconnectMinMs * 2 ** attempt) * stretch;
  state.reconnects.set(id, attempt);
  state.timers.set(MonotonicMs(state.now + pauseMs), { kind: "reconnect", id, attempt });
}

/** Turn by turn a ping that names the accusation, and a full exchange over a stream: either brings the refutation. */
export function reconnect(state: SwimState, id: NodeId, attempt: number): void {
  const member = state.members.get(id);
  if (member?.state !== "dead") return void state.reconnects.delete(id);
  if (state.reconnects.get(id) !== attempt) return;
  if (attempt % 2 === 0) {
    sendTo(state, member, accusingPing(member, state.newProbeNumber()), true);
  } else {
    startPushPull(state, member, "reconnect", ONE_SYN_MS);
  }
  state.path(id).silent();
  scheduleReconnect(state, id, attempt + 1);
}
