import {
  type ClusterTimeMs,
  type LogIndex,
  NodeId,
  type Outcome,
  type Term,
  type WallTimeMs,
  accepted,
  assertNever,
  refusal,
  refused,
} from "#kernel";
import { type Configuration, LayoutError, type Message, type ReadId, type SnapshotMeta, decodeEntry, encodeEntry } from "#raft";
import type {
  Configuration as ConfigurationMessage,
  RaftMessage,
  SnapshotMeta as SnapshotMetaMessage,
} from "#gen/ringraft/peer/v1/raft.js";
import { WireError } from "./wire-reader.ts";

/** `from` and `to` stay behind: they are those of the stream's handshake, and a peer cannot speak for another. */
export function raftMessageToProto(message: Message): RaftMessage {
  return { term: message.term, body: bodyMessage(message) };
}

/** A message that a peer sent over the stream `from` → `to`. Refused (INVALID_ARGUMENT) when it is empty or damaged. */
export function raftMessageFromProto(message: RaftMessage, from: NodeId, to: NodeId): Outcome<Message> {
  try {
    return accepted(bodyOf(message.body, { from, to, term: message.term as Term }));
  } catch (error) {
    if (!(error instanceof WireError || error instanceof LayoutError)) throw error;
    return refused(refusal("INVALID_ARGUMENT", `a message of ${from} cannot be read: ${error.message}`));
  }
}

export function configurationToProto(configuration: Configuration): ConfigurationMessage {
  return {
    voters: [...configuration.voters],
    joint: configuration.votersOutgoing !== null,
    votersOutgoing: [...(configuration.votersOutgoing ?? [])],
    learners: [...configuration.learners],
    learnersNext: [...configuration.learnersNext],
    promoting: [...configuration.promoting],
    admissions: [...configuration.admissions],
  };
}

export function configurationFromProto(message: ConfigurationMessage): Configuration {
  return {
    voters: message.voters.map(NodeId),
    votersOutgoing: message.joint ? message.votersOutgoing.map(NodeId) : null,
    learners: message.learners.map(NodeId),
    learnersNext: message.learnersNext.map(NodeId),
    promoting: message.promoting.map(NodeId),
    admissions: message.admissions.map(({ node, index }) => ({ node: NodeId(node), index: index as LogIndex })),
  };
}

export function snapshotMetaToProto(meta: SnapshotMeta): SnapshotMetaMessage {
  return { ...meta, configuration: configurationToProto(meta.configuration) };
}

/** Throws {@link WireError} when the configuration is missing: a snapshot without one cannot say who votes. */
export function snapshotMetaFromProto(message: SnapshotMetaMessage | undefined): SnapshotMeta {
  if (message?.configuration === undefined) throw new WireError("a snapshot has no configuration");
  return {
    index: message.index as LogIndex,
    term: message.term as Term,
    clusterTimeMs: message.clusterTimeMs as ClusterTimeMs,
    wallTimeMs: message.wallTimeMs as WallTimeMs,
    configuration: configurationFromProto(message.configuration),
  };
}

type Body = RaftMessage["body"];

function bodyMessage(message: Message): Body {
  switch (message.kind) {
    case "preVote":
      return { oneofKind: "preVote", preVote: message };
    case "requestVote":
      return { oneofKind: "requestVote", requestVote: message };
    case "preVoteReply":
      return { oneofKind: "preVoteReply", preVoteReply: message };
    case "voteReply":
      return { oneofKind: "voteReply", voteReply: message };
    case "append": {
      const { prevIndex, prevTerm, commitIndex, entries } = message;
      return { oneofKind: "append", append: { prevIndex, prevTerm, commitIndex, entries: entries.map(encodeEntry) } };
    }
    case "appendReply":
      return { oneofKind: "appendReply", appendReply: message };
    case "appendRejected":
      return { oneofKind: "appendRejected", appendRejected: message };
    case "heartbeat":
      return { oneofKind: "heartbeat", heartbeat: message };
    case "heartbeatReply":
      return { oneofKind: "heartbeatReply", heartbeatReply: message };
    case "snapshotChunk": {
      const { meta, offset, data, done, totalBytes } = message;
      const chunk = { meta: snapshotMetaToProto(meta), offset, data, done, totalBytes };
      return { oneofKind: "snapshotChunk", snapshotChunk: chunk };
    }
    case "snapshotReply":
      return { oneofKind: "snapshotReply", snapshotReply: message };
    case "readIndex":
      return { oneofKind: "readIndex", readIndex: message };
    case "timeoutNow":
      return { oneofKind: "timeoutNow", timeoutNow: {} };
    case "stateDigest":
      return { oneofKind: "stateDigest", stateDigest: message };
    case "readIndexReply": {
      const { readId, index } = message;
      return { oneofKind: "readIndexReply", readIndexReply: { readId, ok: index !== null, index: index ?? 0 } };
    }
    default:
      return assertNever(message, "raft message");
  }
}

function bodyOf(body: Body, envelope: { readonly from: NodeId; readonly to: NodeId; readonly term: Term }): Message {
  switch (body.oneofKind) {
    case "preVote":
      return { ...envelope, kind: "preVote", ...lastOf(body.preVote) };
    case "requestVote":
      return { ...envelope, kind: "requestVote", ...lastOf(body.requestVote) };
    case "preVoteReply":
      return { ...envelope, kind: "preVoteReply", granted: body.preVoteReply.granted };
    case "voteReply":
      return { ...envelope, kind: "voteReply", granted: body.voteReply.granted };
    case "append": {
      const { prevIndex, prevTerm, entries, commitIndex } = body.append;
      return {
        ...envelope,
        kind: "append",
        prevIndex: prevIndex as LogIndex,
        prevTerm: prevTerm as Term,
        entries: entries.map(decodeEntry),
        commitIndex: commitIndex as LogIndex,
      };
    }
    case "appendReply":
      return {
        ...envelope,
        kind: "appendReply",
        matchIndex: body.appendReply.matchIndex as LogIndex,
        suspect: body.appendReply.suspect,
      };
    case "appendRejected": {
      const { rejectedIndex, hintIndex, hintTerm } = body.appendRejected;
      return {
        ...envelope,
        kind: "appendRejected",
        rejectedIndex: rejectedIndex as LogIndex,
        hintIndex: hintIndex as LogIndex,
        hintTerm: hintTerm as Term,
      };
    }
    case "heartbeat": {
      const { commitIndex, readRound } = body.heartbeat;
      return { ...envelope, kind: "heartbeat", commitIndex: commitIndex as LogIndex, readRound };
    }
    case "heartbeatReply":
      return { ...envelope, kind: "heartbeatReply", ...body.heartbeatReply };
    case "snapshotChunk": {
      const { meta, offset, data, done, totalBytes } = body.snapshotChunk;
      return { ...envelope, kind: "snapshotChunk", meta: snapshotMetaFromProto(meta), offset, data, done, totalBytes };
    }
    case "snapshotReply": {
      const { index, nextOffset, installed, suspect } = body.snapshotReply;
      return { ...envelope, kind: "snapshotReply", index: index as LogIndex, nextOffset, installed, suspect };
    }
    case "readIndex":
      return { ...envelope, kind: "readIndex", readId: body.readIndex.readId as ReadId, suspect: body.readIndex.suspect };
    case "readIndexReply": {
      const { readId, ok, index } = body.readIndexReply;
      return { ...envelope, kind: "readIndexReply", readId: readId as ReadId, index: ok ? (index as LogIndex) : null };
    }
    case "timeoutNow":
      return { ...envelope, kind: "timeoutNow" };
    case "stateDigest":
      return { ...envelope, kind: "stateDigest", ...body.stateDigest, index: body.stateDigest.index as LogIndex };
    case undefined:
      throw new WireError("a message without content");
    default:
      return assertNever(body, "raft message");
  }
}

function lastOf(body: { readonly lastIndex: number; readonly lastTerm: number; readonly transfer: boolean }) {
  return { lastIndex: body.lastIndex as LogIndex, lastTerm: body.lastTerm as Term, transfer: body.transfer };
}
