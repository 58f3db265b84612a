import { MonotonicMs } from "#kernel";
import type { SwimState } from "./state.ts";
import type { MemberRecord, MembershipView, MemberView } from "./types.ts";
import { listsOtherVoters } from "./voters-hash.ts";

/** A picture of the moment, made only when it is asked for. */
export function viewOf(state: SwimState): MembershipView {
  const { members, options, now } = state;
  const heardSince = now - options.convergedPeriods * options.periodMs;
  const records = members.records();
  const sampled = records
    .filter(({ id }) => state.order.has(id))
    .map(({ id }) => state.knownPath(id))
    .filter((path) => path !== null && path.heardAt !== null && path.heardAt >= heardSince);
  return Object.freeze({
    at: now,
    lifecycle: state.lifecycle,
    self: members.self,
    members: records.map((record) => memberView(state, record)).toSorted((a, b) => (a.record.id < b.record.id ? -1 : 1)),
    digest: members.digest,
    sampled: sampled.length,
    agreeing: sampled.filter((path) => path?.digest === members.digest).length,
    healthMultiplier: state.awareness.multiplier,
    youngestSuspicion: youngestSuspicion(state),
    partition: state.partition,
    mismatched: [...state.mismatched].filter((id) => state.order.has(id)),
    otherVoters: records.filter((record) => listsOtherVoters(members.self, record)).map(({ id }) => id),
    counters: { ...state.counters, rejected: { ...state.counters.rejected } },
  });
}

function memberView(state: SwimState, record: MemberRecord): MemberView {
  const path = state.knownPath(record.id);
  return Object.freeze({
    record,
    since: state.members.since(record.id)!,
    reach: state.reachOf(record),
    rttMs: path?.rttMs ?? null,
    flapsPerHour: state.flaps.flapsPerHour(state.now, record.id),
    isFlapping: state.flaps.isFlapping(state.now, record.id),
    heardAt: path?.heardAt ?? null,
  });
}

function youngestSuspicion(state: SwimState): MonotonicMs | null {
  const started = [...state.suspicions.values()].map((running) => running.suspicion.startedAt);
  return started.length === 0 ? null : MonotonicMs(Math.max(...started));
}
