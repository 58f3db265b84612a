import { MonotonicMs } from "#kernel";
import { spread } from "./gossip.ts";
import type { SwimState } from "./state.ts";

/** Says goodbye, and goes once it was said often enough to be known everywhere. */
export function leave(state: SwimState): void {
  if (state.lifecycle === "leaving" || state.lifecycle === "left") return;
  if (state.isSilent) return fallSilent(state, "left");
  state.lifecycle = "leaving";
  spread(state, state.members.leave(state.now));
  state.timers.set(MonotonicMs(state.now + state.options.leaveTimeoutMs), { kind: "leave-over" });
  goIfSaid(state);
}

/** Looked at whenever gossip went out. */
export function goIfSaid(state: SwimState): void {
  const said = state.broadcasts.transmissions(state.id) === null || state.order.size === 0;
  if (state.lifecycle === "leaving" && said) fallSilent(state, "left");
}

/** Nothing is said, answered or judged any more. To the others a node that fails looks the same. */
export function fallSilent(state: SwimState, as: "left" | "conflicted" | "removed"): void {
  if (state.lifecycle === as) return;
  for (const stream of state.streams.keys()) {
    state.wire.forgetStream(stream);
    state.transmissions.push({ kind: "close-stream", stream });
  }
  state.streams.clear();
  state.timers.clear();
  state.lifecycle = as;
  state.dormancy = null;
}
