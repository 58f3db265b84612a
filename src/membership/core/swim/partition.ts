import type { NodeId } from "#kernel";
import { suspicionMaxMs } from "./derived.ts";
import type { SwimState } from "./state.ts";

/** Fewer deaths at once than this are crashes. */
const FEWEST = 3;
/** And so is a smaller share of all members. */
const SHARE = 1 / 6;

/**
 * Many deaths within the longest suspicion look like a cut network: machines of one provider do crash together, but then
 * nothing is lost by asking. It is a hint for people, and decides nothing here.
 */
export function noteDeath(state: SwimState, id: NodeId): void {
  const windowMs = suspicionMaxMs(state.options, state.members.present);
  const keptMs = Math.max(windowMs, state.options.gossipToDeadMs);
  state.deaths = [...state.deaths.filter(({ at }) => state.now - at <= keptMs), { id, at: state.now }];
  const lost = state.deaths.filter(({ at }) => state.now - at <= windowMs).map((death) => death.id);
  const before = lost.length + state.members.present;
  if (lost.length < FEWEST || lost.length < before * SHARE) return;
  const known = state.partition ?? [];
  state.partition = [...new Set([...known, ...lost])].toSorted();
  if (known.length === 0) state.events.push({ kind: "partition-suspected", lost: state.partition });
}

/**
 * The first that comes back may be luck; with half of them back the network is. Who was removed or forgotten is not lost any
 * more: machines that were scrapped together are no cut network for ever.
 */
export function notePartition(state: SwimState, id: NodeId): void {
  const { partition } = state;
  if (partition === null || !partition.includes(id)) return;
  const stillLost = partition.filter((lost) => state.members.get(lost)?.state === "dead");
  if (stillLost.length > partition.length / 2) return;
  state.partition = null;
  state.events.push({ kind: "partition-healed" });
}
