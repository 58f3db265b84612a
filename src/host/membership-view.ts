import type { MemberInfo, MembershipInfo } from "#api";
import type { NodeConfig } from "#config";
import type { NodeId } from "#kernel";
import { type RaftStatus, membersOf } from "#raft";

/** The configuration in force, with what the leader knows of everybody's progress and this node's file of their addresses. */
export function membershipView(config: NodeConfig, raft: RaftStatus): MembershipInfo {
  const { configuration, configurationIndex, commitIndex } = raft;
  const { voters, votersOutgoing, learners, promoting } = configuration;
  return {
    members: [...membersOf(configuration)].map((nodeId) => ({
      nodeId,
      clientAddress: address(config, nodeId, "client"),
      peerAddress: address(config, nodeId, "peer"),
      voter: voters.includes(nodeId),
      outgoing: votersOutgoing?.includes(nodeId) ?? false,
      learner: learners.includes(nodeId),
      promoting: promoting.includes(nodeId),
      leader: nodeId === raft.leader,
      progress: progressOf(config.nodeId, nodeId, raft),
    })),
    configurationIndex,
    configurationCommitted: configurationIndex <= commitIndex,
  };
}

function progressOf(self: NodeId, nodeId: NodeId, raft: RaftStatus): MemberInfo["progress"] {
  if (raft.progress === null) return null;
  const { lastIndex } = raft;
  if (nodeId === self) return { matchIndex: lastIndex, lagEntries: 0, state: "", recentlyActive: true };
  const peer = raft.progress.get(nodeId);
  if (peer === undefined) return null;
  const { matchIndex, state, recentlyActive } = peer;
  return { matchIndex, lagEntries: Math.max(0, lastIndex - matchIndex), state, recentlyActive };
}

function address(config: NodeConfig, nodeId: NodeId, port: "client" | "peer"): string {
  const host = config.hosts.get(nodeId);
  return host === undefined ? "" : `${host.address}:${host.ports[port]}`;
}
