import type { Disk } from "#ports";
import type { SnapshotMeta } from "#raft";
import { StorageError } from "../error.ts";
import { listOrEmpty } from "../wal/segments.ts";
import { readSnapshot, verifySnapshot } from "./file.ts";
import { SNAPSHOT_DIRECTORY, parseSnapshotName, snapshotFile } from "./format.ts";

/** One snapshot file as tools show it. */
export type CheckedSnapshot =
  | {
      readonly file: string;
      readonly ok: true;
      readonly meta: SnapshotMeta;
      readonly contentBytes: number;
      readonly stateDigest: string;
    }
  | { readonly file: string; readonly ok: false; readonly error: StorageError };

/** Reads the whole file; writes nothing. */
export async function checkSnapshotFile(disk: Disk, file: string): Promise<CheckedSnapshot> {
  try {
    const { meta, contentBytes, stateDigest } = await verifySnapshot(disk, file);
    return { file, ok: true, meta, contentBytes, stateDigest };
  } catch (thrown) {
    if (!(thrown instanceof StorageError)) throw thrown;
    return { file, ok: false, error: thrown };
  }
}

/** Every snapshot of a data directory, newest first. */
export async function checkSnapshots(disk: Disk): Promise<readonly CheckedSnapshot[]> {
  const names = (await listOrEmpty(disk, SNAPSHOT_DIRECTORY)).map(parseSnapshotName).filter((name) => name !== null);
  const checked: CheckedSnapshot[] = [];
  for (const name of names.sort((a, b) => b.index - a.index || b.term - a.term)) {
    checked.push(await checkSnapshotFile(disk, snapshotFile(name)));
  }
  return checked;
}

/** The content of one snapshot file, checked while it is read. */
export function readSnapshotFile(disk: Disk, file: string): AsyncIterable<Uint8Array> {
  return readSnapshot(disk, file);
}
