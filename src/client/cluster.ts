import { LogIndex, NodeId } from "#kernel";
import type { ConfigurationResponse, Member as MemberMessage } from "#gen/ringraft/v1/cluster.js";
import type { Response } from "#gen/ringraft/v1/stream.js";
import { body, nothingOf } from "./answers.ts";
import type { RequestBody } from "./call.ts";
import { type Requester, asksLeader, freshness } from "./requester.ts";
import type { CallOptions, ClusterApi, ClusterMember, ClusterVoters, Membership } from "./types.ts";

/** Changes are sent once: what became of one whose answer was lost is `unknown`, and `members` tells. */
export function clusterApi(requester: Requester): ClusterApi {
  const change = (request: RequestBody, options: CallOptions | undefined): Promise<ClusterVoters> =>
    requester.ask(request, votersOf, options);
  return {
    members: (options) =>
      requester.read({ oneofKind: "members", members: { read: freshness(options) } }, membershipOf, options, asksLeader(options)),
    add: (nodeId, { learner = false, ...options } = {}) =>
      change({ oneofKind: "memberAdd", memberAdd: { nodeId, learner } }, options),
    remove: (nodeId, options) => change({ oneofKind: "memberRemove", memberRemove: { nodeId } }, options),
    promote: (nodeId, options) => change({ oneofKind: "memberPromote", memberPromote: { nodeId } }, options),
    demote: (nodeId, options) => change({ oneofKind: "memberDemote", memberDemote: { nodeId } }, options),
    replace: (removeNodeId, addNodeId, options) =>
      change({ oneofKind: "memberReplace", memberReplace: { removeNodeId, addNodeId } }, options),
    transferLeadership: (to, options) =>
      requester.ask(
        { oneofKind: "transferLeadership", transferLeadership: { toNodeId: to ?? "" } },
        (response) => NodeId(body(response, "leadership").leadership.leaderId),
        options,
      ),
    triggerElection: (options) =>
      requester.read({ oneofKind: "triggerElection", triggerElection: {} }, nothingOf, options, false),
    raiseFeatureLevel: (level, options) => requester.writeRepeatable({ kind: "raiseFeatureLevel", level }, nothingOf, options),
    saveSnapshot: (options) => requester.read({ oneofKind: "saveSnapshot", saveSnapshot: {} }, savedOf, options, false),
    readSnapshot: (index, offset, options) =>
      requester.read({ oneofKind: "readSnapshot", readSnapshot: { index, offset } }, pieceOf, options, false),
  };
}

const savedOf = (response: Response): LogIndex => LogIndex(body(response, "savedSnapshot").savedSnapshot.index);

/** The bytes are a view of the received frame. */
const pieceOf = (response: Response): { readonly data: Uint8Array; readonly totalBytes: number } =>
  body(response, "snapshotPiece").snapshotPiece;

function votersOf(response: Response): ClusterVoters {
  const { voters, outgoing, learners, promoting }: ConfigurationResponse = body(response, "configuration").configuration;
  return {
    voters: voters.map(NodeId),
    outgoing: outgoing.map(NodeId),
    learners: learners.map(NodeId),
    promoting: promoting.map(NodeId),
  };
}

function membershipOf(response: Response): Membership {
  const { members, configurationIndex, configurationCommitted } = body(response, "members").members;
  return {
    members: members.map(memberOf),
    configurationIndex: LogIndex(configurationIndex),
    configurationCommitted,
  };
}

function memberOf(message: MemberMessage): ClusterMember {
  const { nodeId, matchIndex, lagEntries, recentlyActive, progress, ...rest } = message;
  return {
    ...rest,
    nodeId: NodeId(nodeId),
    matchIndex: matchIndex === undefined ? null : LogIndex(matchIndex),
    lagEntries: lagEntries ?? null,
    progress: progress === "" ? null : progress,
    recentlyActive: recentlyActive ?? null,
  };
}
