import { invariant, type NodeId } from "#kernel";
import type { RaftOptions } from "./types.ts";

const MiB = 1 << 20;

/** Sizes that suit a cluster in one data centre; identity and voters have no default. */
export const defaultRaftOptions = {
  electionTicks: 10,
  heartbeatTicks: 1,
  maxMessageBytes: MiB,
  maxInflightBytes: 8 * MiB,
  maxUncommittedBytes: 64 * MiB,
  maxCommittedBytes: MiB / 2,
  snapshotChunkBytes: MiB / 4,
  leaderData: new Uint8Array(0),
  preVote: true,
  checkQuorum: true,
  priorities: new Map<NodeId, number>(),
  preempt: false,
  leaseReads: null,
  diskStallTimeouts: 4,
} as const satisfies Omit<RaftOptions, "id" | "initialConfiguration">;

/** Throws {@link InvariantError} on options under which the algorithm cannot work; users' input is checked before, in config. */
export function validateRaftOptions(options: RaftOptions): void {
  invariant(options.id !== "", "raft option id is empty");
  invariant(options.heartbeatTicks >= 1, `raft option heartbeatTicks is ${options.heartbeatTicks}, must be at least 1`);
  // A follower must be able to miss one heartbeat without an election.
  invariant(
    options.electionTicks > options.heartbeatTicks,
    `raft option electionTicks is ${options.electionTicks}, must be above heartbeatTicks (${options.heartbeatTicks})`,
  );
  const sizes = [
    "maxMessageBytes",
    "maxInflightBytes",
    "maxUncommittedBytes",
    "maxCommittedBytes",
    "snapshotChunkBytes",
  ] as const;
  for (const size of sizes) invariant(options[size] >= 1, `raft option ${size} is ${options[size]}, must be at least 1`);
  invariant(options.diskStallTimeouts >= 1, `raft option diskStallTimeouts is ${options.diskStallTimeouts}, must be at least 1`);
  if (options.leaseReads !== null) {
    invariant(options.checkQuorum, "raft option leaseReads needs checkQuorum: without it nobody promises to elect no other");
    const { leaseMs } = options.leaseReads;
    invariant(Number.isSafeInteger(leaseMs) && leaseMs > 0, `raft option leaseMs is ${leaseMs}, must be a whole number above 0`);
  }
  const { voters } = options.initialConfiguration;
  invariant(new Set(voters).size === voters.length, `raft option initialConfiguration repeats a voter: ${voters.join(", ")}`);
}
