export type * from "./types.ts";
export { StorageError, type StorageErrorCode } from "./error.ts";
export { openWal, type WalOptions } from "./wal/open.ts";
export { openSnapshotStore } from "./snapshots/store.ts";
export { checkHistoryIsWhole } from "./history.ts";
export { readIdentity, writeIdentity } from "./identity.ts";
export { verifyWal, dumpWal, type WalVerifyRow, type WalDumpRow } from "./wal/dump.ts";
