export type * from "./types.ts";
export { leaderEntryData } from "./leader-entry.ts";
export { createReplica, defaultReplicaOptions } from "./replica.ts";
export type { ReplicaOptions, ReplicaPorts, RunningReplica } from "./replica.ts";
export { snapshotContent, snapshotDocuments } from "./snapshot-content.ts";
