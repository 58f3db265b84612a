import type { NodeConfig } from "#config";
import type { ClusterId } from "#kernel";
import type { CommittedNodeView, ModelView, NodeView, StateView, VoterView } from "#observe";
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
  return {
    queues: reader.queueCounts(),
    jobs: counts.jobs,
    sessions: counts.sessions,
    locks: { held: counts.locksHeld, waiters: reader.listLocks().reduce((sum, lock) => sum + lock.waiters.length, 0) },
    models: reader.listModels().map((model): ModelView => ({
      name: model.name,
      versions: model.lastVersion,
      canonical: model.aliases["canonical"]?.version ?? null,
      canonicalReason: model.aliases["canonical"]?.reason ?? null,
    })),
    nodes: reader.listNodes().flatMap(({ node, sessions, claims }): readonly CommittedNodeView[] => {
      const { nodeId, state, scheduling, sinceWallMs, lastEvent } = node;
      return lastEvent === null ? [] : [{ nodeId, state, scheduling, sinceWallMs, event: lastEvent.name, sessions, claims }];
    }),
    partition: partition?.state === "SUSPECTED" ? partition.lost : null,
  };
}
