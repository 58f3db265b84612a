import { randomInt, randomUUID } from "node:crypto";
import { runAgent } from "#agent";
import { type Client, connect } from "#client";
import type { NodeConfig } from "#config";
import { type ClusterId, exitCodes, type NodeId, seededRandom } from "#kernel";
import { nodeMetrics, type NodeView } from "#observe";
import { newIdentity, readIdentity, writeIdentity } from "#storage";
import { systemClock, systemTimers } from "./clock.ts";
import { watchWallClock } from "./clock-watch.ts";
import { nodeDisk } from "./disk.ts";
import { workerElections } from "./elections.ts";
import type { RunningNode } from "./lifecycle.ts";
import { joinMembers } from "./membership.ts";
import { openProcesses } from "./process.ts";
import { StartError } from "./start-error.ts";
import { feedPulse } from "./status-feed.ts";
import { readTls } from "./tls.ts";
import { version } from "./version.ts";
import { checkedIdentity, clientAddress, type NodePorts } from "./voter-node.ts";

const LOOK_PERIOD_MS = 1_000;

/** A worker in the real world: a client of the voters that claims and runs work, and a status port. */
export async function startWorkerNode(config: NodeConfig, ports: NodePorts): Promise<RunningNode> {
  const { log } = ports;
  const timers = systemTimers();
  const worker = config.worker;
  if (worker === null)
    throw new StartError(exitCodes.config, `${config.nodeId} is a worker, but the configuration has no worker section`);
  const disk = nodeDisk(config.dataDirectory);
  const identity = await readIdentity(disk);
  const known = identity === null ? config.clusterId : checkedIdentity(config, identity);
  const endpoints = config.voters.map((voter) => clientAddress(config, voter));
  const tls = readTls(config.tls.client);
  const client = connect({
    endpoints,
    ...(known === null ? {} : { clusterId: known }),
    ...(tls === null ? {} : { tls: { ca: tls.ca.toString(), cert: tls.cert.toString(), key: tls.key.toString() } }),
  });
  const watcher = new ClusterWatcher(config, client, known);
  const looking = timers.every(LOOK_PERIOD_MS, () => {
    void watcher.look().then(async (learned) => {
      if (learned !== null) await writeIdentity(disk, newIdentity(learned, config.nodeId, randomUUID(), true));
    });
  });
  const processes = openProcesses();
  const agent = runAgent(
    { nodeId: config.nodeId, incarnation: Date.now(), worker, endpoints, clusterId: known },
    { client, processes, clock: systemClock(), timers, random: seededRandom(randomInt(2 ** 32)), log },
  );
  ports.pulse.handle(workerElections(client));
  const metrics = nodeMetrics();
  const feed = feedPulse(ports.pulse, metrics, () => Promise.resolve(watcher.view()), timers);
  const clockWatch = watchWallClock(systemClock(), timers, log, metrics.clockJumps);
  await joinMembers(config, { ...ports, disk, clock: systemClock() });
  log.info("worker is up", { queues: worker.queues.join(","), slots: worker.slots });
  return {
    stop: async () => {
      await agent.drain();
      await ports.pulse.leave();
      looking.cancel();
      feed.cancel();
      clockWatch.cancel();
      await client.close();
      processes.close();
      await ports.pulse.close();
      await ports.directory.release();
    },
  };
}

/** What a worker knows of the cluster: what the voter that it talks to last said. */
class ClusterWatcher {
  readonly #config: NodeConfig;
  readonly #client: Client;
  #clusterId: ClusterId | null;
  #leaderId: NodeId | null = null;

  constructor(config: NodeConfig, client: Client, clusterId: ClusterId | null) {
    this.#config = config;
    this.#client = client;
    this.#clusterId = clusterId;
  }

  /** Asks; gives the cluster's id when this is the first time that it is learned. */
  async look(): Promise<ClusterId | null> {
    try {
      const status = await this.#client.status({ timeoutMs: LOOK_PERIOD_MS });
      this.#leaderId = status.leaderId;
      if (this.#clusterId !== null) return null;
      this.#clusterId = status.clusterId;
      return status.clusterId;
    } catch {
      this.#leaderId = null;
      return null;
    }
  }

  view(): NodeView {
    const { nodeId, voters, hosts } = this.#config;
    return {
      nodeId,
      clusterId: this.#clusterId,
      version,
      role: "worker",
      leaderId: this.#leaderId,
      raft: null,
      voters: voters.map((name) => ({ name, alive: null, matchIndex: null, suspect: null })),
      alivePeers: this.#leaderId === null ? 0 : 1,
      totalPeers: hosts.size,
      state: null,
    };
  }
}
