import type { Brand } from "./brand.ts";
import { InvariantError } from "./invariant.ts";

/** Raft term, counted from 0 (no election yet). */
export type Term = Brand<number, "Term">;
/** Position in the replicated log, counted from 1; 0 is "before the first entry". */
export type LogIndex = Brand<number, "LogIndex">;
/** Log index of an object's last change (etcd's mod_revision). */
export type Revision = LogIndex;
/** Log index of a grant. Strictly rising per object and comparable across objects. */
export type FencingToken = LogIndex;
/** The replicated clock in milliseconds. It stands still while there is no leader, so leases only stretch. */
export type ClusterTimeMs = Brand<number, "ClusterTimeMs">;
/** Wall time of the leader in milliseconds since 1970, clamped monotone in the log. For display and `run_at_ms` only. */
export type WallTimeMs = Brand<number, "WallTimeMs">;
/** A process-local monotonic clock in milliseconds; never compared between nodes. */
export type MonotonicMs = Brand<number, "MonotonicMs">;
/** A node's stable name. Never an address. */
export type NodeId = Brand<string, "NodeId">;
export type ClusterId = Brand<string, "ClusterId">;
export type SessionId = Brand<string, "SessionId">;
export type WorkId = Brand<string, "WorkId">;
export type JobId = Brand<string, "JobId">;
/** A session's own request counter, from 1; the key of exactly-once. */
export type Sequence = Brand<number, "Sequence">;

export const Term = (n: number): Term => safeCount(n, "term") as Term;
export const LogIndex = (n: number): LogIndex => safeCount(n, "index") as LogIndex;
export const Sequence = (n: number): Sequence => safeCount(n, "sequence") as Sequence;
export const ClusterTimeMs = (n: number): ClusterTimeMs => safeCount(n, "cluster_time_ms") as ClusterTimeMs;
export const WallTimeMs = (n: number): WallTimeMs => safeCount(n, "wall_time_ms") as WallTimeMs;
export const MonotonicMs = (n: number): MonotonicMs => n as MonotonicMs;
export const NodeId = (s: string): NodeId => s as NodeId;
export const ClusterId = (s: string): ClusterId => s as ClusterId;
export const SessionId = (s: string): SessionId => s as SessionId;
export const WorkId = (s: string): WorkId => s as WorkId;
export const JobId = (s: string): JobId => s as JobId;

export const NO_INDEX = 0 as LogIndex;
export const NO_TERM = 0 as Term;

/** Checked at every decode edge, so that inside the house an index is always a safe integer ≥ 0. */
function safeCount(n: number, what: string): number {
  if (!Number.isSafeInteger(n) || n < 0) throw new InvariantError(`${what} must be a safe integer ≥ 0, got ${n}`);
  return n;
}
