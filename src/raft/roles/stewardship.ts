import type { NodeId } from "#kernel";
import type { Leading, RaftState } from "../state.ts";
import { tickLease } from "./lease.ts";
import { bestSuccessor, isSuccessor, priorityOf, startTransfer, tickTransfer } from "./transfer.ts";

/** What a leader asks itself at every tick beyond replication: whether it should go on leading. */
export function tickStewardship(state: RaftState, leading: Leading): void {
  tickLease(state, leading);
  tickTransfer(state, leading);
  if (state.isDiskStalled) leaveStalledDisk(state, leading);
  else if (leading.transfer === null && state.options.preempt) preferHigherPriority(state, leading);
}

/**
 * A leader whose disk hangs goes on sending heartbeats, so nobody would ever replace it (hashicorp/raft#503, etcd#13527). It
 * hands over, since its followers' disks may be well; where that fails it steps down, and does not stand again until its disk
 * moves. A voter that is alone has nobody to leave the lead to.
 */
function leaveStalledDisk(state: RaftState, leading: Leading): void {
  if (leading.transfer !== null) return;
  const hasOthers = state.configuration.voters.some((voter) => isSuccessor(state, voter));
  if (!hasOthers) return;
  const successor = leading.handedOverForDisk ? null : bestSuccessor(state, leading);
  if (successor === null) {
    state.mark("stepped down: disk stalled", { term: state.term, waited: state.diskWaitTicks });
    state.becomeFollower(state.term, null);
  } else {
    leading.handedOverForDisk = true;
    startTransfer(state, leading, successor, "disk stalled");
  }
}

/** Both must have been steady for long: a voter that comes and goes must not take the lead along each time. */
function preferHigherPriority(state: RaftState, leading: Leading): void {
  const since = state.ticks - STEADY_TIMEOUTS * state.options.electionTicks;
  if (leading.steadySinceTick > since || state.configuration.votersOutgoing !== null) return;
  let preferred: NodeId | null = null;
  for (const [id, progress] of leading.progress) {
    const isSteady = progress.steadySinceTick !== null && progress.steadySinceTick <= since;
    const isHeard = progress.heardWithin(state.options.electionTicks, state.ticks);
    const isCaughtUp = progress.state === "replicate" && progress.matchIndex >= state.log.commitIndex;
    if (!isSuccessor(state, id) || progress.suspect || !isSteady || !isHeard || !isCaughtUp) continue;
    if (priorityOf(state, id) > priorityOf(state, preferred ?? state.id)) preferred = id;
  }
  if (preferred !== null) startTransfer(state, leading, preferred, "priority");
}

const STEADY_TIMEOUTS = 10;
