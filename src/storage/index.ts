export type * from "./types.ts";
export { StorageError, type StorageErrorCode, isDiskFull } from "./error.ts";
export { openWal, type WalOptions } from "./wal/open.ts";
export { liftSuspicion } from "./wal/lift-suspicion.ts";
export { type DiskSpace, SpaceWatch } from "./space.ts";
export { openSnapshotStore, type SnapshotStoreOptions } from "./snapshots/store.ts";
export { checkHistoryIsWhole } from "./history.ts";
export { type CountedBoot, countBoot, raiseBoot } from "./boot-count.ts";
export { countStart, newIdentity, readIdentity, writeIdentity } from "./identity.ts";
export {
  type DirectoryFault,
  PeerDirectories,
  type PeerVerdict,
  type ShownDirectory,
  isShutOut,
  weighingVoters,
  type Standing,
  judgePeer,
} from "./peer-directory.ts";
export { writeDurably } from "./durable-file.ts";
export { type LogContent, readLog } from "./wal/read-log.ts";
export { type CheckedSnapshot, checkSnapshotFile, checkSnapshots, readSnapshotFile } from "./snapshots/verify.ts";
export { verifyWal, dumpWal, type WalVerifyRow, type WalDumpRow } from "./wal/dump.ts";
export {
  RECORD_HEADER_BYTES,
  SEGMENT_HEADER_BYTES,
  WAL_DIRECTORY,
  decodeRecordHeader,
  decodeSegmentHeader,
  parseSegmentName,
  recordBytes,
  recordTypeOf,
} from "./wal/format.ts";
export { unmask } from "./wal/batch-writer.ts";
export { decodeSnapshotMeta, decodeTruncateMark } from "./wal/payload.ts";
export { SNAPSHOT_DIRECTORY, parseSnapshotName } from "./snapshots/format.ts";
