export { connect } from "./connect.ts";
export { ClientError } from "./client-error.ts";
export type {
  CallOptions,
  Client,
  ClientOptions,
  ClientSession,
  HeldLock,
  JobApi,
  JobWrites,
  LockApi,
  Member,
  ModelApi,
  ModelWrites,
  NewWork,
  NodeStatus,
  ReadOptions,
  SessionOptions,
  WatchBatch,
  WatchOptions,
  WorkApi,
  WorkWrites,
} from "./types.ts";
