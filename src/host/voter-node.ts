import { randomInt, randomUUID } from "node:crypto";
import type { NodeConfig } from "#config";
import { type ClusterId, exitCodes, type LogIndex, NO_INDEX, type NodeId, seededRandom } from "#kernel";
import type { DirectoryLock, Disk, Log, PeerLinkEvents } from "#ports";
import { type Message, admissionOf } from "#raft";
import { nodeMetrics } from "#observe";
import {
  countStart,
  type DataDirectoryIdentity,
  newIdentity,
  PeerDirectories,
  readIdentity,
  weighingVoters,
  writeIdentity,
} from "#storage";
import { startVoter, type Voter, type VoterProbe } from "#node";
import { createGrpcApi, createGrpcServer, defaultGrpcLimits } from "#api";
import { systemClock, systemTimers } from "./clock.ts";
import { watchWallClock } from "./clock-watch.ts";
import { DirectoryRefusals } from "./directory-refusals.ts";
import { nodeDisk } from "./disk.ts";
import { requireFreePort } from "./free-port.ts";
import { voterElections } from "./elections.ts";
import type { RunningNode } from "./lifecycle.ts";
import { joinMembers } from "./membership.ts";
import { membershipView } from "./membership-view.ts";
import {
  createPeerLinks,
  type GrpcPeerLinks,
  learnCluster,
  type PeerLinkOptions,
  type PeerLinkPorts,
  type TlsMaterial,
  type ViewOptions,
  viewService,
} from "./peer-grpc/index.ts";
import type { Pulse } from "./pulse/index.ts";
import { StartError } from "./start-error.ts";
import { feedPulse } from "./status-feed.ts";
import { readTls } from "./tls.ts";
import { startVerdicts } from "./voter-verdicts.ts";
import { stateView, voterView } from "./voter-view.ts";

export interface NodePorts {
  readonly log: Log;
  readonly pulse: Pulse;
  /** Held until the node has stopped. */
  readonly directory: DirectoryLock;
  /** The process must end now. */
  readonly onFatal: (error: Error) => void;
  /** Looks at every transition of a voter's core; null: nobody does. */
  readonly trace: VoterProbe | null;
  /** Aborted when the node is asked to stop while it still waits for a cluster to join. */
  readonly signal: AbortSignal;
}

const timers = systemTimers();
const clock = systemClock();

/** A voter in the real world, started downwards and stopped upwards. Null when it was stopped before it had a cluster. */
export async function startVoterNode(config: NodeConfig, ports: NodePorts): Promise<RunningNode | null> {
  const { log } = ports;
  const incarnation = Date.now();
  const peerTls = readTls(config.tls.peer);
  const clientTls = readTls(config.tls.client);
  for (const key of ["peer", "client"] as const) {
    await requireFreePort({ host: config.listen.host, port: config.listen[key], key });
  }
  const disk = nodeDisk(config.dataDirectory);
  const identity = await identify(config, disk, peerTls, incarnation, ports);
  if (identity === null) return null;
  const { clusterId } = identity;
  const refusals = new DirectoryRefusals(log, ports.onFatal);

  const metrics = nodeMetrics();
  let links: GrpcPeerLinks | null = null;
  const views: ViewOptions = {
    self: config.nodeId,
    clusterId,
    peers: peerAddresses(config),
    openAt: (peer) => links?.openAt(peer) ?? null,
    tls: peerTls,
  };
  const voter = await startVoter(
    { ...config, clusterId, isLatecomer: identity.isLatecomer },
    {
      disk,
      clock,
      timers,
      random: seededRandom(randomInt(2 ** 32)),
      log,
      openPeers: async (events, { membership, lastIndex }) => {
        const directories = await PeerDirectories.open(disk, membership);
        if (directories.problem !== null) {
          log.error("the memory of the peers' data directories is lost", { why: directories.problem });
        }
        // Not before the log has been accepted: a start that is refused leaves the directory as it was.
        const counted = await countStart(disk, identity, randomUUID);
        const admission = (): LogIndex => admissionOf(membership().configuration, config.nodeId) ?? NO_INDEX;
        const self = { ...counted, incarnation, admission, lastIndex };
        const onDirectory: PeerLinkPorts["onDirectory"] = (by, fault, why) =>
          refusals.heard(by, fault, why, weighingVoters(config.nodeId, membership().configuration, config.voters));
        const services = [viewService(views, (about) => ports.pulse.testimony(about))];
        links = await openPeers(config, { ...self, services }, peerTls, events, { log, directories, onDirectory });
        return links;
      },
      onFatal: ports.onFatal,
      probe: ports.trace,
      meter: {
        synced: (durationMs, entries) => {
          metrics.fsyncDuration.observe(durationMs / 1000);
          metrics.batchEntries.observe(entries);
        },
        proposed: (commands) => metrics.proposals.add(commands),
        proposalsRefused: (commands) => metrics.proposalsFailed.add(commands),
        committed: (durationMs) => metrics.commitDuration.observe(durationMs / 1000),
        marked: (mark) => metrics.raftEvent(mark),
      },
    },
  );
  const doors = await openDoors(config, clusterId, voter, clientTls, log).catch(async (error: unknown) => {
    // A voter without a client port would go on voting, and keep this process alive.
    await voter.close();
    throw error;
  });
  ports.pulse.handle(voterElections(config, clientTls, voter.replica));
  const feed = feedPulse(ports.pulse, metrics, () => lookAt(config, clusterId, voter, refusals), timers);
  const clockWatch = watchWallClock(clock, timers, log, metrics.clockJumps);
  await joinMembers(config, { ...ports, disk, clock });
  const runsSwim = config.modes.membership === "swim" || config.modes.membership === "hybrid";
  const verdicts = runsSwim ? startVerdicts(views, { voter, pulse: ports.pulse, clock, timers, log, metrics }) : null;
  log.info("voter is up", { cluster_id: clusterId, client_port: config.listen.client, peer_port: config.listen.peer });
  return {
    stop: async () => {
      verdicts?.close();
      feed.cancel();
      clockWatch.cancel();
      // With the doors open: whoever is refused here meanwhile is told where to go.
      await Promise.all([voter.handOver(), ports.pulse.leave()]);
      await doors.close();
      await voter.close();
      await ports.pulse.close();
      await ports.directory.release();
    },
  };
}

/**
 * The data directory says which cluster this is; an empty one asks the other voters and writes their answer down.
 */
async function identify(
  config: NodeConfig,
  disk: Disk,
  tls: TlsMaterial | null,
  incarnation: number,
  { log, signal }: NodePorts,
): Promise<DataDirectoryIdentity | null> {
  const identity = await readIdentity(disk);
  if (identity !== null) {
    checkedIdentity(config, identity);
    if (identity.initialising) {
      throw new StartError(
        exitCodes.config,
        `data directory ${config.dataDirectory} was being initialised, and that was interrupted`,
        "Run `ringraft cluster init` on this voter again: it completes what is missing.",
      );
    }
    return identity;
  }
  const all = peerAddresses(config);
  const peers = new Map([...all].filter(([peer]) => config.voters.includes(peer)));
  const learned = await learnCluster({ self: config.nodeId, incarnation, peers, tls }, { timers, log }, signal);
  if (learned === null) return null;
  const joined = newIdentity(learned.clusterId, config.nodeId, randomUUID(), learned.isLatecomer);
  checkedIdentity(config, joined);
  await writeIdentity(disk, joined);
  log.info("joined", { cluster_id: learned.clusterId, latecomer: learned.isLatecomer });
  return joined;
}

/** Throws {@link StartError} (exit 78) when the directory is another node's or another cluster's. Changes nothing. */
export function checkedIdentity(config: NodeConfig, identity: Pick<DataDirectoryIdentity, "nodeId" | "clusterId">): ClusterId {
  const wrong = (what: string, theirs: string, ours: string): StartError =>
    new StartError(
      exitCodes.config,
      `data directory ${config.dataDirectory} belongs to ${what} ${theirs}, not to ${ours}`,
      "Point data_dir at this node's own directory, or correct the configuration. Nothing was changed.",
    );
  if (identity.nodeId !== config.nodeId) throw wrong("node", identity.nodeId, config.nodeId);
  if (config.clusterId !== null && identity.clusterId !== config.clusterId)
    throw wrong("cluster", identity.clusterId, config.clusterId);
  return identity.clusterId;
}

async function openPeers(
  config: NodeConfig,
  identity: Pick<
    PeerLinkOptions,
    "clusterId" | "directoryId" | "starts" | "incarnation" | "admission" | "lastIndex" | "services"
  >,
  tls: TlsMaterial | null,
  events: PeerLinkEvents<Message>,
  ports: Pick<PeerLinkPorts, "log" | "directories" | "onDirectory">,
): Promise<GrpcPeerLinks> {
  const links = createPeerLinks(
    {
      ...identity,
      self: config.nodeId,
      address: addressOf(config, config.nodeId),
      peers: peerAddresses(config),
      dialAtFirst: new Set(config.voters),
      listen: { host: config.listen.host, port: config.listen.peer },
      tls,
    },
    { timers, random: seededRandom(randomInt(2 ** 32)), ...ports },
    events,
  );
  await links.start();
  return links;
}

async function openDoors(
  config: NodeConfig,
  clusterId: ClusterId,
  { replica, snapshots }: Voter,
  tls: TlsMaterial | null,
  log: Log,
): Promise<{ close(): Promise<void> }> {
  const limits = defaultGrpcLimits;
  const api = createGrpcApi(
    { clusterId, memberId: config.nodeId, limits },
    {
      replica,
      timers,
      log,
      statusOf: () => {
        const { engine, clusterTimeMs } = replica.status();
        const { role, term, leader, commitIndex, appliedIndex, electionCount } = engine.raft;
        return { role, term, leaderId: leader, commitIndex, appliedIndex, electionCount, clusterTimeMs };
      },
      members: () => membershipView(config, replica.status().engine.raft),
      knows: (nodeId) => config.hosts.has(nodeId),
      readSnapshot: (index, offset) => snapshots.readRaw(index, offset, SNAPSHOT_PIECE_BYTES),
    },
  );
  const server = createGrpcServer({ tls: tls === null ? null : { cert: tls.cert, key: tls.key, clientCa: null }, limits });
  api.register(server.server);
  await server.listen(config.listen.host, config.listen.client);
  api.setServing(true);
  return {
    close: async () => {
      api.close();
      await server.close();
    },
  };
}

/** Of a back-up over the client port; the answer must fit into a message. */
const SNAPSHOT_PIECE_BYTES = 1_048_576;

async function lookAt(config: NodeConfig, clusterId: ClusterId, voter: Voter, refusals: DirectoryRefusals) {
  const state = await voter.replica.read({ mode: "stale" }, stateView);
  // A quarantined voter shows its state to nobody, but must say that it is one.
  const voters = weighingVoters(config.nodeId, voter.replica.status().engine.raft.configuration, config.voters);
  return voterView(config, clusterId, voter, state.ok ? state.value.value : null, refusals.refusing(voters));
}

function addressOf(config: NodeConfig, id: NodeId): string {
  const { address, ports } = config.hosts.get(id)!;
  return `${address}:${ports.peer}`;
}

/** Every other host: the log, not the file, says who is a member, and an id keeps its meaning when its address changes here. */
function peerAddresses(config: NodeConfig): ReadonlyMap<NodeId, string> {
  return new Map([...config.hosts.keys()].filter((id) => id !== config.nodeId).map((id) => [id, addressOf(config, id)]));
}

export function clientAddress(config: NodeConfig, nodeId: NodeId): string {
  const host = config.hosts.get(nodeId);
  return host === undefined ? "" : `${host.address}:${host.ports.client}`;
}
