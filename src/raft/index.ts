export type * from "./types.ts";
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
