import type { NodeConfig } from "#config";
import type { ClusterId, NodeId } from "#kernel";
import type { CommittedNodeView, HolderView, ModelView, NodeView, StateView, VoterView } from "#observe";
import type { Reader } from "#statemachine";
import type { Voter } from "#node";
import { version } from "./version.ts";

/** One look at a running voter. Reads what this node has applied: a status page must answer without a quorum. */
export function voterView(
  config: NodeConfig,
  clusterId: ClusterId,
  { replica, space }: Pick<Voter, "replica" | "space">,
  state: StateView | null,
  directoryRefusedBy: readonly string[],
): NodeView {
  const { engine, counts, divergence, quarantined, snapshotFailures, clockEntries } = replica.status();
  const { raft, connectedPeers, isMember } = engine;
  const voters = raft.configuration.voters.length > 0 ? raft.configuration.voters : config.voters;
  const views = voters.map((name): VoterView => ({
    name,
    alive: name === config.nodeId || connectedPeers.has(name),
    matchIndex: name === config.nodeId ? raft.lastIndex : (raft.progress?.get(name)?.matchIndex ?? null),
    suspect: name === config.nodeId ? raft.suspect : (raft.progress?.get(name)?.suspect ?? null),
  }));
  return {
    nodeId: config.nodeId,
    clusterId,
    version,
    role: raft.role,
    leaderId: raft.leader,
    raft: {
      term: raft.term,
      commitIndex: raft.commitIndex,
      appliedIndex: raft.appliedIndex,
      electionCount: raft.electionCount,
      suspect: raft.suspect,
      isMember,
      disk: space(),
      divergence: divergence === null ? null : { index: divergence.index, odd: divergence.odd, quarantined },
      directoryRefusedBy,
      snapshotFailures,
      clockEntries,
    },
    voters: views,
    alivePeers: views.filter((voter) => voter.alive === true).length + counts.sessions,
    totalPeers: config.hosts.size,
    state,
  };
}

/** The replicated part of the view. */
export function stateView(reader: Reader): StateView {
  const counts = reader.counts();
  const partition = reader.partition();
  const nodes = reader.listNodes();
  const locks = reader.listLocks();
  return {
    queues: reader.queueCounts(),
    jobs: counts.jobs,
    sessions: counts.sessions,
    locks: { held: counts.locksHeld, waiters: locks.reduce((sum, lock) => sum + lock.waiters.length, 0) },
    models: reader.listModels().map((model): ModelView => ({
      name: model.name,
      versions: model.lastVersion,
      canonical: model.aliases["canonical"]?.version ?? null,
      canonicalReason: model.aliases["canonical"]?.reason ?? null,
    })),
    nodes: nodes.flatMap(({ node, sessions, claims }): readonly CommittedNodeView[] => {
      const { nodeId, state, scheduling, sinceWallMs, lastEvent } = node;
      return lastEvent === null ? [] : [{ nodeId, state, scheduling, sinceWallMs, event: lastEvent.name, sessions, claims }];
    }),
    holders: holdersIn(nodes, locks),
    partition: partition?.state === "SUSPECTED" ? partition.lost : null,
  };
}

function holdersIn(nodes: ReturnType<Reader["listNodes"]>, locks: ReturnType<Reader["listLocks"]>): readonly HolderView[] {
  const held = new Map<NodeId, number>();
  for (const { holder } of locks) if (holder !== null) held.set(holder.nodeId, (held.get(holder.nodeId) ?? 0) + 1);
  return nodes
    .map(({ node: { nodeId }, claims }): HolderView => ({ nodeId, claims, locks: held.get(nodeId) ?? 0 }))
    .filter((holder) => holder.claims + holder.locks > 0);
}
