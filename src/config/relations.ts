import type { NodeId } from "#kernel";
import {
  addressOf,
  driftOf,
  isLoopback,
  listeners,
  listenOf,
  portsOf,
  raftOf,
  sessionsOf,
  timingOf,
  votersOf,
  workerOf,
  type Listener,
} from "./effective.ts";
import { whyNotNodeId } from "./identity.ts";
import { checkMembership } from "./membership.ts";
import { checkReach } from "./membership-addresses.ts";
import type { Finding } from "./problem.ts";
import { formatDuration } from "./quantities.ts";
import type { FileShape, HostShape } from "./schema.ts";
import { nearest } from "./suggest.ts";
import type { NodeConfig } from "./types.ts";

export interface Related {
  readonly findings: readonly Finding[];
  readonly warnings: readonly Finding[];
}

/** What must hold between the values of the whole cluster's file, whichever node reads it. */
export function checkCluster(shape: FileShape): Related {
  const membership = checkMembership(shape);
  return {
    findings: [
      ...checkNames(shape),
      ...checkVoters(shape),
      ...checkTiming(shape),
      ...checkRaft(shape),
      ...checkSessions(shape),
      ...checkPorts(shape),
      ...membership.findings,
    ],
    warnings: [...warnVoters(shape), ...warnElection(shape), ...membership.warnings],
  };
}

/** What must hold for the one node that is about to start. */
export function checkNode(shape: FileShape, nodeId: NodeId, mode: NodeConfig["modes"]["membership"]): Related {
  const unknown = checkHost(shape, nodeId);
  if (unknown !== null) return { findings: [unknown], warnings: [] };
  const host = shape.hosts[nodeId] ?? {};
  const voter = votersOf(shape).includes(nodeId);
  const reach = checkReach(shape, nodeId, mode);
  return {
    findings: [...checkListeners(shape, nodeId, host, voter), ...checkWork(nodeId, host, voter), ...reach.findings],
    warnings: [...(voter ? [] : warnWorker(shape, nodeId, host)), ...reach.warnings],
  };
}

/** Null when the inventory has a node of this name. */
export function checkHost(shape: FileShape, nodeId: NodeId): Finding | null {
  if (Object.hasOwn(shape.hosts, nodeId)) return null;
  const known = Object.keys(shape.hosts);
  const meant = nearest(nodeId, known);
  const message = `this node's id ${JSON.stringify(nodeId)} is not under hosts`;
  return { path: ["hosts"], message, hint: meant === null ? `hosts has: ${shortList(known)}` : `did you mean ${meant}?` };
}

function checkNames(shape: FileShape): readonly Finding[] {
  const names = Object.entries(shape.hosts);
  if (names.length === 0) return [{ path: ["hosts"], message: "there must be at least one host" }];
  return names.flatMap(([name, host]) => {
    const findings: Finding[] = [];
    const wrong = whyNotNodeId(name);
    if (wrong !== null) findings.push({ path: ["hosts", name], message: wrong, atKey: true });
    if (host.name !== undefined && host.name !== name) {
      findings.push({
        path: ["hosts", name, "name"],
        message: `the name ${JSON.stringify(host.name)} differs from its key ${name}`,
      });
    }
    if (addressOf(host) === null) {
      findings.push({ path: ["hosts", name], message: "has no address: give host or tailscale_ip", atKey: true });
    }
    return findings;
  });
}

function checkVoters(shape: FileShape): readonly Finding[] {
  const { voters, voter_nodes } = shape;
  if (voters !== undefined && voter_nodes !== undefined && voters.join() !== voter_nodes.join()) {
    const message = `voters (${voters.join(", ")}) and voter_nodes (${voter_nodes.join(", ")}) differ`;
    return [{ path: ["voter_nodes"], message, hint: "keep one of the two lists" }];
  }
  const key = voters === undefined && voter_nodes !== undefined ? "voter_nodes" : "voters";
  const names = votersOf(shape);
  if (names.length === 0) return [{ path: [key], message: "no voters are named: list the nodes that keep the log" }];
  return names.flatMap((name, i) => {
    if (names.indexOf(name) !== i) return [{ path: [key, i], message: `the voter ${name} is listed twice` }];
    if (Object.hasOwn(shape.hosts, name)) return [];
    const meant = nearest(name, Object.keys(shape.hosts));
    return [
      { path: [key, i], message: `the voter ${name} is not under hosts`, hint: meant === null ? null : `did you mean ${meant}?` },
    ];
  });
}

function warnVoters(shape: FileShape): readonly Finding[] {
  const voters = votersOf(shape).length;
  const path = [shape.voters === undefined ? "voter_nodes" : "voters"];
  if (voters === 1)
    return [{ path, message: "one voter: its loss stops the cluster and may lose acknowledged writes", atKey: true }];
  if (voters > 0 && voters % 2 === 0) {
    const message = `${voters} voters survive the loss of ${voters / 2 - 1}, as ${voters - 1} would: use an odd number`;
    return [{ path, message, atKey: true }];
  }
  return [];
}

function checkTiming(shape: FileShape): readonly Finding[] {
  const { tickMs, heartbeatMs, electionMs, profile } = timingOf(shape);
  const named = `(profile ${profile})`;
  const findings: Finding[] = [];
  if (electionMs <= 3 * heartbeatMs) {
    const message = `the election timeout ${formatDuration(electionMs)} must be above 3 × the heartbeat ${formatDuration(heartbeatMs)} ${named}`;
    const hint = "two lost heartbeats must not depose a healthy leader";
    findings.push({ path: timingPath(shape, "election"), message, hint });
  }
  for (const [key, ms] of [["heartbeat", heartbeatMs] as const, ["election", electionMs] as const]) {
    if (ms % tickMs === 0) continue;
    const message = `the ${key} ${formatDuration(ms)} must be a multiple of the tick ${formatDuration(tickMs)} ${named}`;
    findings.push({ path: timingPath(shape, key), message });
  }
  return findings;
}

function timingPath(shape: FileShape, key: "heartbeat" | "election"): readonly string[] {
  if (shape.timing?.[key] !== undefined || shape.timing?.profile !== "legacy") return ["timing", key];
  return ["election", key === "heartbeat" ? "heartbeat_interval" : "peer_timeout"];
}

function warnElection(shape: FileShape): readonly Finding[] {
  if (shape.election === undefined) return [];
  const { profile } = timingOf(shape);
  const unused = Object.keys(shape.election).filter(
    (key) => key !== "preempt" && (profile !== "legacy" || (key !== "heartbeat_interval" && key !== "peer_timeout")),
  );
  if (unused.length === 0) return [];
  const message = `${unused.join(", ")} describe the Bully election and are not used by Raft with profile ${profile}`;
  return [{ path: ["election"], message, hint: "set timing.profile or timing.election instead", atKey: true }];
}

function checkRaft(shape: FileShape): readonly Finding[] {
  const raft = raftOf(shape);
  const findings: Finding[] = [];
  const order = (key: string, small: number, otherKey: string, large: number): void => {
    if (small <= large) return;
    findings.push({ path: ["raft", key], message: `${small} bytes is over raft.${otherKey} ${large}` });
  };
  order("max_message", raft.maxMessageBytes, "max_inflight", raft.maxInflightBytes);
  order("max_inflight", raft.maxInflightBytes, "max_uncommitted", raft.maxUncommittedBytes);
  if (raft.leaseReads !== null && raft.leaseReads.leaseMs <= 0) {
    const { electionMs, tickMs } = timingOf(shape);
    const message = `${driftOf(shape)} of the election timeout ${formatDuration(electionMs)} and two ticks of ${formatDuration(tickMs)} leave no time for a lease`;
    findings.push({ path: ["raft", "clock_drift"], message, hint: "lower it, or leave raft.lease_reads out" });
  }
  if (raft.keepEntries >= raft.snapshotEveryEntries) {
    const message = `${raft.keepEntries} entries must be below raft.snapshot_every ${raft.snapshotEveryEntries}`;
    findings.push({ path: ["raft", "keep_entries"], message });
  }
  return findings;
}

function checkSessions(shape: FileShape): readonly Finding[] {
  const { defaultTtlMs, renewIntervalMs } = sessionsOf(shape);
  const { heartbeatMs } = timingOf(shape);
  const ttls: readonly (readonly [path: readonly string[], ttlMs: number])[] = [
    [["sessions", "default_ttl"], defaultTtlMs],
    ...(shape.worker?.ttl === undefined ? [] : [[["worker", "ttl"], shape.worker.ttl] as const]),
    ...Object.entries(shape.hosts).flatMap(([name, host]) => {
      const ttl = host.ringraft?.worker?.ttl;
      return ttl === undefined ? [] : [[["hosts", name, "ringraft", "worker", "ttl"], ttl] as const];
    }),
  ];
  const floor = Math.max(3 * renewIntervalMs, 2 * heartbeatMs);
  return ttls
    .filter(([, ttlMs]) => ttlMs < floor)
    .map(([path, ttlMs]) => ({
      path,
      message: `a lease of ${formatDuration(ttlMs)} is shorter than 3 × sessions.renew_interval ${formatDuration(renewIntervalMs)} and 2 × the heartbeat ${formatDuration(heartbeatMs)}`,
      hint: `use at least ${formatDuration(floor)}`,
    }));
}

/** Two listeners on one socket address. Addresses that several machines share (a NAT gateway) matter only where somebody dials. */
function checkPorts(shape: FileShape): readonly Finding[] {
  const voters = new Set<string>(votersOf(shape));
  const taken = new Map<string, string>();
  const findings: Finding[] = [];
  for (const [name, host] of Object.entries(shape.hosts)) {
    const address = addressOf(host) ?? "";
    const ports = portsOf(shape, host);
    for (const listener of listeners) {
      const here = portPath(shape, name, host, listener);
      const shared = isLoopback(address) || voters.has(name);
      const socket = `${shared ? (isLoopback(address) ? "127.0.0.1" : address) : `host ${name}`}:${ports[listener]}`;
      const other = taken.get(socket);
      if (other === undefined) taken.set(socket, `hosts.${name} ${listener}`);
      else {
        const message = `port ${ports[listener]} of ${address} is claimed twice: by ${other} and by hosts.${name} ${listener}`;
        findings.push({ path: here, message, hint: `give one of them its own port under hosts.${name}.ringraft.ports` });
      }
    }
  }
  return findings;
}

function portPath(shape: FileShape, name: string, host: HostShape, listener: Listener): readonly string[] {
  if (host.ringraft?.ports?.[listener] !== undefined) return ["hosts", name, "ringraft", "ports", listener];
  return shape.ports?.[listener] === undefined ? ["hosts", name] : ["ports", listener];
}

function checkListeners(shape: FileShape, nodeId: NodeId, host: HostShape, voter: boolean): readonly Finding[] {
  const bind = listenOf(shape, host);
  const ports = portsOf(shape, host);
  const allowed = shape.insecure ?? { http: false, grpc: false };
  const tls = host.ringraft?.tls ?? shape.tls;
  const findings: Finding[] = [];
  if (!isLoopback(bind.httpHost) && !allowed.http) {
    findings.push({
      path: ["hosts", nodeId],
      message: `the status port ${bind.httpHost}:${ports.http} of ${nodeId} is plain HTTP and can be reached from other machines`,
      hint: "write insecure: [http] if that network is trusted (a mesh VPN), or listen.http_address: 127.0.0.1",
    });
  }
  // Workers dial; only voters are dialled on the peer and client ports.
  if (!voter || isLoopback(bind.host) || allowed.grpc) return findings;
  for (const listener of ["peer", "client"] as const) {
    if (tls?.[listener] !== undefined) continue;
    findings.push({
      path: ["tls", listener],
      message: `the ${listener} port ${bind.host}:${ports[listener]} of ${nodeId} can be reached from other machines without TLS`,
      hint: `give tls.${listener} {ca, cert, key}, listen on 127.0.0.1, or write insecure: true`,
    });
  }
  return findings;
}

function checkWork(nodeId: NodeId, host: HostShape, voter: boolean): readonly Finding[] {
  if (!voter || host.ringraft?.worker === undefined) return [];
  const message = `UNIMPLEMENTED: ${nodeId} is a voter, and a voter that also runs work is not in this version`;
  return [
    {
      path: ["hosts", nodeId, "ringraft", "worker"],
      message,
      hint: "move the work to a node that is not in voters",
      atKey: true,
    },
  ];
}

function warnWorker(shape: FileShape, nodeId: NodeId, host: HostShape): readonly Finding[] {
  const worker = workerOf(shape, host);
  if (worker === null || Object.keys(worker.handlers ?? {}).length > 0) return [];
  const path = host.ringraft?.worker === undefined ? ["worker"] : ["hosts", nodeId, "ringraft", "worker"];
  return [{ path, message: `${nodeId} has no handlers and will claim no work`, atKey: true }];
}

function shortList(names: readonly string[]): string {
  return names.length <= 10 ? names.join(", ") : `${names.slice(0, 10).join(", ")} and ${names.length - 10} more`;
}
