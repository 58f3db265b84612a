export { type DecodedCommand, decodeCommand } from "./command-decode.ts";
export { completeWorkSpec, encodeCommand } from "./command-encode.ts";
export { type ReceivedRequest, decodeClientFrame } from "./client-frame.ts";
export { admitCommand, isLeaderOnly } from "./admit.ts";
export { codecLimits, commandDefaults } from "./limits.ts";
export {
  failureCauses,
  jobPhases,
  lockStates,
  nodeSchedulings,
  nodeStates,
  sessionStates,
  versionStates,
  workStates,
} from "./enums.ts";
export {
  jobToProto,
  lockToProto,
  modelToProto,
  modelVersionToProto,
  objectToProto,
  sessionToProto,
  workItemToProto,
} from "./objects-encode.ts";
export {
  jobFromProto,
  lockFromProto,
  modelFromProto,
  modelVersionFromProto,
  objectFromProto,
  sessionFromProto,
  workItemFromProto,
} from "./objects-decode.ts";
export { nodeFromProto, nodeSummaryFromProto, nodeSummaryToProto, partitionFromProto, partitionToProto } from "./nodes.ts";
export { refusalToProto, refusalFromProto } from "./refusal.ts";
export {
  type ResponseBody,
  type WatchContent,
  objectKindOf,
  replyToProto,
  replyFromProto,
  watchBatchToProto,
  watchBatchFromProto,
} from "./response.ts";
export {
  configurationToProto,
  configurationFromProto,
  raftMessageToProto,
  raftMessageFromProto,
  snapshotMetaToProto,
  snapshotMetaFromProto,
} from "./peer.ts";
export { type SentFrame, decodePeerFrame, encodePeerFrame } from "./peer-frame.ts";
export { type WorkBrief, decodeServerFrame, encodeServerFrame, workBriefFromProto, workBriefToProto } from "./server-frame.ts";
export { type Json, protocolName, toJson } from "./json.ts";
export { WireError } from "./wire-reader.ts";
export { decodeMessage, decodeRequest, encodeMessage } from "./wire.ts";
