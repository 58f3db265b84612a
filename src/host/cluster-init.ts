import { randomUUID } from "node:crypto";
import { ClusterId, ClusterTimeMs, exitCodes, LogIndex, type NodeId, type Sequence, Term, WallTimeMs } from "#kernel";
import type { Disk } from "#ports";
import { type Entry, encodeConfiguration, settledConfiguration } from "#raft";
import { encodeCommand } from "#codec";
import type { NodeConfig } from "#config";
import { RECOVERY_RECORD } from "#node";
import { NEWEST_LEVEL } from "#statemachine";
import { newIdentity, openWal, readIdentity, writeIdentity } from "#storage";
import { type ConfigurationRequest, loadNodeConfig } from "./configuration.ts";
import { lockDataDirectory } from "./data-directory.ts";
import { nodeDisk } from "./disk.ts";
import { FOUNDING_ENTRIES } from "./peer-grpc/index.ts";
import { StartError } from "./start-error.ts";
import { checkedIdentity } from "./voter-node.ts";

/**
 * Fixes the cluster id and the first voters, once per cluster, in the data directory of one voter. Everybody else joins.
 * Throws {@link StartError}: exit 78 when the configuration is wrong or the directory already belongs to a cluster.
 */
export async function initialiseCluster(request: ConfigurationRequest): Promise<ClusterId> {
  const config = loadNodeConfig(request, () => {});
  if (config.role !== "voter") {
    throw new StartError(
      exitCodes.config,
      `${config.nodeId} is not a voter: a cluster is initialised on one of ${config.voters.join(", ")}`,
    );
  }
  try {
    const lock = await lockDataDirectory(config.dataDirectory);
    try {
      return await initialise(nodeDisk(config.dataDirectory), config);
    } finally {
      await lock.release();
    }
  } catch (error) {
    throw StartError.from(error);
  }
}

/**
 * The identity comes first and says that this has begun: a crash at any later moment leaves a directory that the same command
 * completes and that nobody starts. Without that mark a log without entries belongs to a voter that has joined elsewhere.
 */
async function initialise(disk: Disk, config: NodeConfig): Promise<ClusterId> {
  const { nodeId, dataDirectory } = config;
  const present = await readIdentity(disk);
  const clusterId = present === null ? (config.clusterId ?? ClusterId(randomUUID())) : checkedIdentity(config, present);
  if (present?.initialising === false) {
    throw new StartError(
      exitCodes.config,
      `data directory ${dataDirectory} already belongs to cluster ${clusterId}`,
      "Nothing was changed. Start it with `ringraft serve`, or name an empty data directory.",
    );
  }
  // Only the voter's old files can complete that one.
  if ((await disk.list(".")).includes(RECOVERY_RECORD)) {
    throw new StartError(
      exitCodes.config,
      `data directory ${dataDirectory} holds a recovery that was interrupted`,
      "Nothing was changed. docs/operations/recovery.md tells how to go back and run it again.",
    );
  }
  const identity = { ...(present ?? newIdentity(clusterId, nodeId, randomUUID(), false)), initialising: true };
  await writeIdentity(disk, identity);
  const { wal } = await openWal(disk, { clusterId, nodeId, segmentBytes: config.raft.segmentBytes });
  try {
    // Again, if it is there: the list of voters may have been corrected in between.
    await wal.append({ entries: foundingEntries(config.voters), hardState: { term: Term(1), votedFor: null } });
  } finally {
    await wal.close();
  }
  await writeIdentity(disk, { ...identity, initialising: false });
  return clusterId;
}

/**
 * The configuration itself, so that every other voter gets it by replication and none invents one; and the newest feature level,
 * since no older version has to follow this log.
 */
function foundingEntries(voters: readonly NodeId[]): readonly Entry[] {
  const atStart = { term: Term(1), clusterTimeMs: ClusterTimeMs(0), wallTimeMs: WallTimeMs(0) } as const;
  const level = { kind: "raiseFeatureLevel", level: NEWEST_LEVEL } as const;
  const command = { sessionId: null, sequence: null, firstUnackedSequence: 0 as Sequence, operation: level };
  return [
    { ...atStart, index: LogIndex(1), kind: "configuration", data: encodeConfiguration(settledConfiguration(voters)) },
    { ...atStart, index: LogIndex(FOUNDING_ENTRIES), kind: "command", data: encodeCommand(command) },
  ];
}
