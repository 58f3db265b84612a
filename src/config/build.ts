import { dirname, isAbsolute, resolve } from "node:path";
import { ClusterId, NodeId } from "#kernel";
import { addressOf, electionOf, listenOf, portsOf, raftOf, sessionsOf, timingOf, votersOf, workerOf } from "./effective.ts";
import { membershipOf } from "./membership.ts";
import type { FileShape, HostShape } from "./schema.ts";
import type { HandlerConfig, HostConfig, NodeConfig, TlsFiles, WorkerConfig } from "./types.ts";

export interface Overrides {
  readonly nodeId?: string;
  /** Relative to the working directory, like every path on a command line. */
  readonly dataDirectory?: string;
  readonly logLevel?: NodeConfig["log"]["level"];
}

/** A checked file → the complete, frozen configuration of one of its nodes. */
export function buildNodeConfig(
  file: string,
  shape: FileShape,
  nodeId: NodeId,
  membershipMode: NodeConfig["modes"]["membership"],
  overrides: Overrides,
): NodeConfig {
  const directory = dirname(resolve(file));
  const host = shape.hosts[nodeId] ?? {};
  const voters = votersOf(shape);
  const role = voters.includes(nodeId) ? "voter" : "worker";
  const tls = host.ringraft?.tls ?? shape.tls;
  const dataDirectory = host.ringraft?.data_dir ?? shape.data_dir ?? `ringraft-data/${nodeId}`;
  const adminKeyFile = host.ringraft?.admin?.key_file ?? shape.admin?.key_file;
  const keyFile = shape.membership?.key_file;
  return deepFreeze({
    file: resolve(file),
    nodeId,
    clusterId: shape.cluster?.id === undefined ? null : ClusterId(shape.cluster.id),
    role,
    dataDirectory: overrides.dataDirectory === undefined ? resolve(directory, dataDirectory) : resolve(overrides.dataDirectory),
    hosts: new Map(Object.entries(shape.hosts).map(([name, entry]) => [NodeId(name), hostConfig(shape, name, entry)])),
    voters,
    listen: { ...listenOf(shape, host), ...portsOf(shape, host) },
    tls: { peer: role === "voter" ? tlsFiles(tls?.peer, directory) : null, client: tlsFiles(tls?.client, directory) },
    insecure: shape.insecure?.grpc ?? false,
    modes: { membership: membershipMode, consensus: "raft" },
    membership: { ...membershipOf(shape, host), keyFile: keyFile === undefined ? null : resolve(directory, keyFile) },
    timing: timingOf(shape),
    raft: raftOf(shape),
    election: electionOf(shape),
    sessions: sessionsOf(shape),
    worker: role === "voter" ? null : workerConfig(shape, host, directory),
    adminKeyFile: adminKeyFile === undefined ? null : resolve(directory, adminKeyFile),
    log: { level: overrides.logLevel ?? host.ringraft?.log?.level ?? shape.log?.level ?? "info" },
  });
}

function hostConfig(shape: FileShape, name: string, host: HostShape): HostConfig {
  return { name: NodeId(name), address: addressOf(host) ?? "", provider: host.provider ?? "", ports: portsOf(shape, host) };
}

function tlsFiles(files: TlsFiles | undefined, directory: string): TlsFiles | null {
  if (files === undefined) return null;
  return { ca: resolve(directory, files.ca), cert: resolve(directory, files.cert), key: resolve(directory, files.key) };
}

function workerConfig(shape: FileShape, host: HostShape, directory: string): WorkerConfig | null {
  const worker = workerOf(shape, host);
  if (worker === null) return null;
  const { capabilities } = worker;
  return {
    queues: worker.queues ?? ["default"],
    slots: worker.slots ?? 1,
    ttlMs: worker.ttl ?? sessionsOf(shape).defaultTtlMs,
    drainTimeoutMs: worker.drain_timeout ?? 30_000,
    capabilities: {
      gpuCount: capabilities?.gpu_count ?? 0,
      gpuMemoryMib: capabilities?.gpu_memory_mib ?? 0,
      gpuModel: capabilities?.gpu_model ?? "",
      cuda: capabilities?.cuda ?? 0,
      cpu: capabilities?.cpu ?? 1,
      memoryMib: capabilities?.memory_mib ?? 1_024,
      diskMib: capabilities?.disk_mib ?? 1_024,
      labels: capabilities?.labels ?? {},
    },
    handlers: new Map(
      Object.entries(worker.handlers ?? {}).map(([kind, handler]): [string, HandlerConfig] => [
        kind,
        {
          command: handler.command.map((part, i) => (i === 0 ? programPath(part, directory) : part)),
          workingDirectory: resolve(directory, handler.working_directory ?? "."),
          nice: handler.nice ?? 10,
          timeoutMs: handler.timeout ?? 3_600_000,
          environment: handler.environment ?? {},
        },
      ]),
    ),
  };
}

/** As a shell reads it: a bare name is looked up on the PATH, a name with a slash is a file (beside the configuration). */
function programPath(program: string, directory: string): string {
  return program.includes("/") && !isAbsolute(program) ? resolve(directory, program) : program;
}

function deepFreeze<T>(value: T): T {
  if (typeof value === "object" && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value);
    for (const inner of value instanceof Map ? value.values() : Object.values(value)) deepFreeze(inner);
  }
  return value;
}
