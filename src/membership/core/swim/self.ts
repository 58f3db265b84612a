import { compareIncarnations, type Incarnation } from "#kernel";
import { spread } from "./gossip.ts";
import { nextIncarnation } from "./incarnation.ts";
import type { ApplySummary, OwnChanges } from "./member-table.ts";
import { sendFrame } from "./send.ts";
import type { SwimState } from "./state.ts";

/** This node says something new about itself: an address, a path, metadata. False where it can say nothing new any more. */
export function claim(
  state: SwimState,
  changes: OwnChanges,
  incarnation: Incarnation = nextIncarnation(state.members.self.incarnation),
): boolean {
  const before = state.members.self.incarnation;
  if (compareIncarnations(incarnation, before) <= 0) return false;
  const own = state.members.claim(state.now, changes, incarnation);
  state.changedAt = state.now;
  if (own.incarnation.epoch > before.epoch) state.events.push({ kind: "persist-incarnation", incarnation: own.incarnation });
  spread(state, own);
  // Relays know it at once and pass it on: gossip of its own may go to many that are as hidden as this node.
  for (const stream of state.uplinks.carriers) sendFrame(state, stream, [{ kind: "member", record: own }]);
  return true;
}

/** Others say something about this node that is wrong. What is old news is answered by repeating ours, without raising it. */
export function refute(state: SwimState, wrong: Extract<ApplySummary, { readonly kind: "refute" }>): void {
  if (!wrong.raised) {
    if (state.broadcasts.transmissions(state.id) === null) spread(state, state.members.self);
    return;
  }
  // An alive word from a former life says nothing about how fast this one answers.
  const accused = wrong.seen.state === "suspect" || wrong.seen.state === "dead";
  if (accused && wrong.seen.incarnation.epoch === state.members.self.incarnation.epoch) {
    state.changeHealth((awareness) => {
      awareness.afterRefutation();
    });
    state.accusedAt = state.now;
  }
  claim(state, {}, wrong.incarnation);
}
