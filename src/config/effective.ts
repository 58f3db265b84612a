import { NodeId } from "#kernel";
import { profiles } from "./profiles.ts";
import type { FileShape, HostShape, WorkerShape } from "./schema.ts";
import type { HostConfig, NodeConfig, Timing } from "./types.ts";

/** The file's values with defaults and per-host overrides put in: what both the checks and the final configuration read. */

export const DEFAULT_PORTS = { http: 8770, peer: 8772, client: 8773 } as const;
export type Listener = keyof typeof DEFAULT_PORTS;
export const listeners: readonly Listener[] = ["http", "peer", "client"];

export function timingOf(shape: FileShape): Timing {
  const profile = shape.timing?.profile ?? "mesh";
  const preset = profiles[profile];
  // The runbooks' block describes Bully; only the profile that imitates it listens to it.
  const runbook = profile === "legacy" ? shape.election : undefined;
  return {
    profile,
    tickMs: shape.timing?.tick ?? preset.tickMs,
    heartbeatMs: shape.timing?.heartbeat ?? runbook?.heartbeat_interval ?? preset.heartbeatMs,
    electionMs: shape.timing?.election ?? runbook?.peer_timeout ?? preset.electionMs,
  };
}

export function sessionsOf(shape: FileShape): NodeConfig["sessions"] {
  const preset = profiles[shape.timing?.profile ?? "mesh"];
  return {
    defaultTtlMs: shape.sessions?.default_ttl ?? preset.defaultTtlMs,
    electionGraceMs: shape.sessions?.election_grace ?? preset.electionGraceMs,
    renewIntervalMs: shape.sessions?.renew_interval ?? preset.renewIntervalMs,
  };
}

const MIB = 1_048_576;

export function raftOf(shape: FileShape): NodeConfig["raft"] {
  return {
    maxMessageBytes: shape.raft?.max_message ?? MIB,
    maxInflightBytes: shape.raft?.max_inflight ?? 8 * MIB,
    maxUncommittedBytes: shape.raft?.max_uncommitted ?? 64 * MIB,
    snapshotEveryEntries: shape.raft?.snapshot_every ?? 100_000,
    keepEntries: shape.raft?.keep_entries ?? 10_000,
    segmentBytes: shape.raft?.segment ?? 16 * MIB,
    minFreeBytes: shape.raft?.min_free ?? 256 * MIB,
    leaseReads: leaseOf(shape),
  };
}

/**
 * A voter that acknowledged a heartbeat elects nobody else for an election timeout of its own clock, whose first tick may come
 * at once, and one more early: a tick that came late, behind a turn that waited for I/O, is soon followed by the next. The
 * leader's clock may run slower by the drift. What is left is the lease, from the sending of that heartbeat on.
 */
function leaseOf(shape: FileShape): { readonly leaseMs: number } | null {
  if (shape.raft?.lease_reads !== true) return null;
  const { tickMs, electionMs } = timingOf(shape);
  return { leaseMs: Math.floor(electionMs * (1 - driftOf(shape)) - 2 * tickMs) };
}

export const driftOf = (shape: FileShape): number => shape.raft?.clock_drift ?? 0.1;

export function electionOf(shape: FileShape): NodeConfig["election"] {
  const voters = votersOf(shape);
  return {
    priorities: new Map(voters.map((voter, at) => [voter, voters.length - at])),
    preempt: shape.election?.preempt ?? false,
  };
}

export function votersOf(shape: FileShape): readonly NodeId[] {
  return (shape.voters ?? shape.voter_nodes ?? []).map(NodeId);
}

/** Null when the entry names no address at all. */
export function addressOf(host: HostShape): string | null {
  return host.host ?? host.tailscale_ip ?? host.fallback_host ?? null;
}

export function portsOf(shape: FileShape, host: HostShape): HostConfig["ports"] {
  const own = host.ringraft?.ports;
  const port = (listener: Listener): number => own?.[listener] ?? shape.ports?.[listener] ?? DEFAULT_PORTS[listener];
  return { http: port("http"), peer: port("peer"), client: port("client") };
}

/** A node whose own address is loopback listens there; behind a NAT or a mesh the address is not the machine's: all interfaces. */
export function listenOf(shape: FileShape, host: HostShape): { readonly host: string; readonly httpHost: string } {
  const address = addressOf(host) ?? "127.0.0.1";
  const bind = host.ringraft?.listen?.address ?? shape.listen?.address ?? (isLoopback(address) ? "127.0.0.1" : "0.0.0.0");
  return { host: bind, httpHost: host.ringraft?.listen?.http_address ?? shape.listen?.http_address ?? bind };
}

/** The cluster's worker section with the host's own on top; handlers and capabilities are merged by name. */
export function workerOf(shape: FileShape, host: HostShape): WorkerShape | null {
  const own = host.ringraft?.worker;
  if (shape.worker === undefined && own === undefined) return null;
  return {
    ...shape.worker,
    ...own,
    capabilities: { ...shape.worker?.capabilities, ...own?.capabilities },
    handlers: { ...shape.worker?.handlers, ...own?.handlers },
  };
}

export function isLoopback(address: string): boolean {
  return address === "localhost" || address === "::1" || /^127(?:\.\d{1,3}){3}$/.test(address);
}
