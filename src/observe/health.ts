import { votesOf, type NodeView } from "./node-view.ts";

/** A named promise about a node. One that does not hold turns `/health` to 503. */
interface HealthClause {
  readonly name: string;
  /** Null while it holds; else one sentence with the numbers. */
  readonly broken: string | null;
}

export interface Health {
  readonly healthy: boolean;
  /** `name: sentence` of every broken clause. */
  readonly reasons: readonly string[];
}

export type ClusterHealth = "healthy" | "degraded" | "critical";

/** Entries that are committed and not yet applied here; more means that reads and claims lag behind. */
export const MAX_APPLY_LAG = 50_000;

export function healthOf(view: NodeView): Health {
  const clauses = [
    hasLeader(view),
    hasQuorum(view),
    appliesInTime(view),
    agreesOnState(view),
    isMember(view),
    isWhole(view),
    hasRoom(view),
    isAccepted(view),
  ];
  const reasons = clauses.flatMap(({ name, broken }) => (broken === null ? [] : [`${name}: ${broken}`]));
  return { healthy: reasons.length === 0, reasons };
}

/**
 * - `critical`: no leader is known, or fewer voters than a majority can be reached: nothing can be decided.
 * - `degraded`: decisions are made, but a voter is missing: less can be lost than was planned for.
 * - `healthy`: a leader, and every voter reachable. Where reachability is not known (a worker), the leader alone counts.
 */
export function clusterHealth(view: NodeView): ClusterHealth {
  const { reachable, needed, total } = votesOf(view);
  if (view.leaderId === null || (reachable !== null && reachable < needed)) return "critical";
  return reachable !== null && reachable < total ? "degraded" : "healthy";
}

function hasLeader({ leaderId }: NodeView): HealthClause {
  return { name: "has_leader", broken: leaderId === null ? "no leader is known" : null };
}

function hasQuorum(view: NodeView): HealthClause {
  const { reachable, needed, total } = votesOf(view);
  const broken = reachable !== null && reachable < needed ? `${reachable} of ${total} voters reachable, ${needed} needed` : null;
  return { name: "quorum", broken };
}

function appliesInTime({ raft }: NodeView): HealthClause {
  const lag = raft === null ? 0 : raft.commitIndex - raft.appliedIndex;
  const broken = lag > MAX_APPLY_LAG ? `${lag} committed entries are not applied, limit ${MAX_APPLY_LAG}` : null;
  return { name: "apply_lag", broken };
}

function isMember({ raft }: NodeView): HealthClause {
  const why = "no configuration names this node: it was removed, or is not added yet";
  return { name: "member", broken: raft?.isMember === false ? why : null };
}

function isWhole({ raft }: NodeView): HealthClause {
  const why =
    "its log may lack what it promised (a damaged end, or an empty directory): it counts for nothing until a leader has caught it up";
  return { name: "log_is_whole", broken: raft?.suspect === true ? why : null };
}

function hasRoom({ raft }: NodeView): HealthClause {
  const name = "disk_space";
  if (raft === null || !raft.disk.isLow) return { name, broken: null };
  return { name, broken: `${raft.disk.freeBytes} bytes of the disk are free, raft.min_free is ${raft.disk.lowBytes}` };
}

function isAccepted({ raft }: NodeView): HealthClause {
  const refusing = raft?.directoryRefusedBy ?? [];
  return { name: "data_directory", broken: refusing.length === 0 ? null : `refused by ${refusing.join(", ")}` };
}

/** Holds on the voters of the majority: their alarm is the metric, and taking them out would take the service with them. */
function agreesOnState({ raft }: NodeView): HealthClause {
  const name = "state_agrees";
  const divergence = raft?.divergence ?? null;
  if (divergence === null) return { name, broken: null };
  const { index, odd, quarantined } = divergence;
  if (quarantined) return { name, broken: `a majority of voters has another state at entry ${index}: this one is quarantined` };
  return { name, broken: odd.length > 0 ? null : `the voters have different states at entry ${index}, and no majority agrees` };
}
