import { votersOf } from "../configuration.ts";
import type { RaftState } from "../state.ts";
import { priorityOf } from "./transfer.ts";

/**
 * The link to the leader broke: most likely its process is gone. This follower then stands after about a heartbeat instead of
 * an election timeout, unless the leader is heard from before. Only a hint: pre-votes are refused by everybody who still hears
 * the leader, so one broken link deposes nobody. Not with lease reads, whose followers have promised to wait.
 */
export function suspectLeader(state: RaftState): void {
  const { preVote, leaseReads } = state.options;
  if (!preVote || leaseReads !== null || state.role.kind !== "follower" || state.standAtTick !== null) return;
  state.standAtTick = state.ticks + standingDelay(state);
  state.mark("leader suspected: link lost", { leader: state.leader, term: state.term, standAt: state.standAtTick });
}

export function mustStand({ standAtTick, ticks }: RaftState): boolean {
  return standAtTick !== null && ticks >= standAtTick;
}

/** Everybody notices at the same moment: one after the other, the preferred first, or the votes would split. */
function standingDelay(state: RaftState): number {
  const step = Math.ceil(state.options.heartbeatTicks / 2);
  const own = priorityOf(state, state.id);
  let rank = 0;
  for (const voter of votersOf(state.configuration)) {
    if (voter === state.leader || voter === state.id) continue;
    const other = priorityOf(state, voter);
    if (other > own || (other === own && voter < state.id)) rank++;
  }
  return state.options.heartbeatTicks + 1 + rank * step + state.drawTicks(step);
}
