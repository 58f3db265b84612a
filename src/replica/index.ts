export type * from "./types.ts";
export type { Configuration, MembershipChange } from "#raft";
export { electionGraceOf, leaderEntryData } from "./leader-entry.ts";
export { applyEntry } from "./apply-entry.ts";
export { createReplica, defaultReplicaOptions } from "./replica.ts";
export type { ReplicaOptions, ReplicaPorts, RunningReplica } from "./replica.ts";
export { restoreFrom, snapshotContent } from "./snapshot-content.ts";
