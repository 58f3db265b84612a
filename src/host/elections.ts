import { type ElectionDeps, type HttpAnswer, triggerElection } from "#api";
import { type Client, ClientError, connect } from "#client";
import type { NodeConfig } from "#config";
import { type NodeId, type Outcome, accepted, refused } from "#kernel";
import type { PulseRequest } from "#ports";
import type { RunningReplica } from "#replica";
import type { TlsMaterial } from "./peer-grpc/index.ts";
import { clientAddress } from "./voter-node.ts";

type Handler = (request: PulseRequest) => Promise<HttpAnswer>;

/** Shorter than pulse waits for main. */
const FORWARD_TIMEOUT_MS = 15_000;

/** A voter answers for itself, and forwards to the leader what is the leader's. */
export function voterElections(config: NodeConfig, tls: TlsMaterial | null, replica: RunningReplica): Handler {
  const deps: ElectionDeps = {
    leader: () => Promise.resolve(accepted(replica.leader().id)),
    transfer: (to) => (replica.leader().isSelf ? replica.transferLeadership(to) : forwarded(config, tls, to)),
    campaign: () => Promise.resolve(replica.campaign()),
  };
  return ({ body }) => triggerElection(body, deps);
}

/** A worker knows what the voters tell it, and asks them. */
export function workerElections(client: Client): Handler {
  const options = { timeoutMs: FORWARD_TIMEOUT_MS };
  const deps: ElectionDeps = {
    leader: () => outcomeOf(client.status(options).then(({ leaderId }) => leaderId)),
    transfer: (to) => outcomeOf(client.cluster.transferLeadership(to, options)),
    campaign: () => outcomeOf(client.cluster.triggerElection(options).then(() => null)),
  };
  return ({ body }) => triggerElection(body, deps);
}

/** Rare enough to be worth a connection of its own. */
async function forwarded(config: NodeConfig, tls: TlsMaterial | null, to: NodeId | null): Promise<Outcome<NodeId>> {
  const client = connect({
    endpoints: config.voters.map((voter) => clientAddress(config, voter)),
    timeoutMs: FORWARD_TIMEOUT_MS,
    ...(tls === null ? {} : { tls: { ca: tls.ca.toString(), cert: tls.cert.toString(), key: tls.key.toString() } }),
  });
  try {
    return await outcomeOf(client.cluster.transferLeadership(to));
  } finally {
    await client.close();
  }
}

async function outcomeOf<T>(asked: Promise<T>): Promise<Outcome<T>> {
  try {
    return accepted(await asked);
  } catch (error) {
    if (error instanceof ClientError) return refused(error.refusal);
    throw error;
  }
}
