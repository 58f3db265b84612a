import { isQuorum } from "../quorum/index.ts";
import type { ConfirmedRound } from "../reads.ts";
import type { Leading, RaftState } from "../state.ts";

/**
 * Lease reads (dissertation 6.4.1). Who acknowledges a heartbeat elects nobody else for an election timeout (`boundUntilTick`),
 * so for a while after the SEND time of a round that a quorum has acknowledged there can be no other leader. The margin between
 * the two durations is the drift that the clocks may have. The acknowledgement tells how long a lease the promise covers.
 */
export function holdsLease(state: RaftState, { lease }: Leading): boolean {
  return lease.untilMs !== null && state.stamp.monotonicMs < lease.untilMs;
}

export function wantsLease(state: RaftState, { lease, firstOwnIndex }: Leading): boolean {
  return state.options.leaseReads !== null && lease.allowed && state.log.commitIndex >= firstOwnIndex;
}

/**
 * Whether a voter that promises `promisedMs` counts for this leader's lease. Voters may differ while their configuration is
 * being changed: who binds itself for less, or knows no leases, confirms reads and no more.
 */
export function coversLease(state: RaftState, promisedMs: number): boolean {
  const { leaseReads } = state.options;
  return leaseReads !== null && promisedMs >= leaseReads.leaseMs;
}

export function extendLease(state: RaftState, leading: Leading, { startedAt, boundBy }: ConfirmedRound): void {
  const { leaseReads } = state.options;
  if (leaseReads === null || !wantsLease(state, leading)) return;
  if (!isQuorum(state.configuration, (voter) => boundBy.has(voter))) return;
  const { lease } = leading;
  if (lease.untilMs === null) state.mark("lease granted", { term: state.term });
  lease.untilMs = Math.max(lease.untilMs ?? 0, startedAt + leaseReads.leaseMs);
}

export function tickLease(state: RaftState, leading: Leading): void {
  if (leading.lease.untilMs === null || holdsLease(state, leading)) return;
  leading.lease.untilMs = null;
  state.mark("lease expired", { term: state.term });
}
