export type * from "./types.ts";
export { Raft } from "./core.ts";
export { type Mark, marks } from "./marks.ts";
export { isJoint } from "./config-change/index.ts";
export { type PlacedConfiguration, admissionOf, isVoter, membersOf, settledConfiguration, votersOf } from "./configuration.ts";
export { defaultRaftOptions, validateRaftOptions } from "./options.ts";
export {
  ENTRY_HEADER_BYTES,
  LayoutError,
  encodedEntryBytes,
  encodeEntry,
  encodeEntryInto,
  decodeEntry,
  encodeConfiguration,
  decodeConfiguration,
} from "./entry-layout.ts";
