import type { Disk } from "#ports";
import { LayoutError, decodeEntry } from "#raft";
import { StorageError } from "../error.ts";
import { recordTypeOf } from "./format.ts";
import { decodeClusterMeta, decodeHardState, decodeSnapshotMeta, decodeSuspicion, decodeTruncateMark } from "./payload.ts";
import { Replay } from "./replay.ts";
import type { ScannedRecord } from "./scan.ts";
import { type ReadSegment, readSegments } from "./segments.ts";

/** One segment as `ringraft wal verify` shows it. Every value goes into JSON as it is. */
export interface WalVerifyRow {
  readonly file: string;
  /** `torn` is no damage: the next start cuts it off and loses nothing that was acknowledged. */
  readonly verdict: "ok" | "torn" | "corrupt" | "ambiguous" | "refused";
  readonly records: number;
  readonly batches: number;
  readonly bytes: number;
  readonly offset: number | null;
  readonly problem: string | null;
  readonly hint: string | null;
}

/** Reads the log as a start would, and writes nothing. One row for each segment; after a row that is not ok there is none. */
export async function* verifyWal(disk: Disk): AsyncGenerator<WalVerifyRow> {
  const replay = new Replay();
  let oldestFile: string | null = null;
  try {
    for await (const segment of readSegments(disk, null)) {
      oldestFile ??= segment.file;
      replay.segment(segment);
      yield rowOf(segment);
      if (segment.scan.damage !== null && segment.scan.damage.verdict !== "TORN") return;
    }
    if (oldestFile !== null) replay.checkWhole(oldestFile);
  } catch (thrown) {
    if (!(thrown instanceof StorageError)) throw thrown;
    yield refusedRow(thrown);
  }
}

/** One record as `ringraft wal dump` shows it. Entries are shown by size, never by content: it may be a secret. */
export interface WalDumpRow {
  readonly file: string;
  readonly offset: number;
  readonly record: number;
  readonly batch: number;
  readonly type: string;
  readonly fields: Readonly<Record<string, string | number | null>>;
}

/** Every sound record up to the first damage; how the log ends is told by {@link verifyWal}. Throws StorageError. */
export async function* dumpWal(disk: Disk): AsyncGenerator<WalDumpRow> {
  for await (const { file, scan } of readSegments(disk, null)) {
    for (const record of scan.records) {
      yield {
        file,
        offset: record.offset,
        record: record.recordNumber,
        batch: record.batchNumber,
        type: recordTypeOf(record.type) ?? `unknown ${record.type}`,
        fields: fieldsOf(record),
      };
    }
    if (scan.damage !== null) return;
  }
}

function rowOf({ file, scan }: ReadSegment): WalVerifyRow {
  const first = scan.records[0]?.batchNumber ?? 0;
  const last = scan.records.at(-1)?.batchNumber ?? -1;
  const counts = { file, records: scan.records.length, batches: last - first + 1, bytes: scan.end };
  if (scan.damage === null) return { ...counts, verdict: "ok", offset: null, problem: null, hint: null };
  const { verdict, offset, problem } = scan.damage;
  if (verdict === "TORN") {
    const hint = "The next start keeps a copy of the tail and cuts it off; nothing acknowledged is lost.";
    return { ...counts, verdict: "torn", offset, problem, hint };
  }
  if (verdict === "AMBIGUOUS") {
    const hint =
      "The next start keeps a copy of the tail, cuts it off and goes on as a suspect: without votes, and counted by nobody, " +
      "until a leader has caught it up.";
    return { ...counts, verdict: "ambiguous", offset, problem, hint };
  }
  const { hint } = new StorageError(verdict, problem, { file, offset });
  return { ...counts, verdict: "corrupt", offset, problem, hint };
}

function refusedRow(error: StorageError): WalVerifyRow {
  return {
    file: error.file ?? "",
    verdict: error.code === "CORRUPT" ? "corrupt" : "refused",
    records: 0,
    batches: 0,
    bytes: 0,
    offset: error.offset,
    problem: error.message,
    hint: error.hint,
  };
}

function fieldsOf({ type, payload }: ScannedRecord): WalDumpRow["fields"] {
  try {
    switch (recordTypeOf(type)) {
      case "entry": {
        const { index, term, kind, clusterTimeMs, wallTimeMs, data } = decodeEntry(payload);
        return { index, term, kind, cluster_time_ms: clusterTimeMs, wall_time_ms: wallTimeMs, data_bytes: data.length };
      }
      case "hardState": {
        const { term, votedFor } = decodeHardState(payload);
        return { term, voted_for: votedFor };
      }
      case "snapshotMark":
      case "resetMark": {
        const { index, term, configuration } = decodeSnapshotMeta(payload);
        return { index, term, voters: configuration.voters.join(",") };
      }
      case "truncateMark":
        return { from_index: decodeTruncateMark(payload) };
      case "clusterMeta": {
        const { clusterId, nodeId } = decodeClusterMeta(payload);
        return { cluster_id: clusterId, node_id: nodeId };
      }
      case "suspicion":
        return { suspect: decodeSuspicion(payload) ? 1 : 0 };
      case "cleanStop":
      case undefined:
        break;
    }
  } catch (thrown) {
    if (!(thrown instanceof LayoutError)) throw thrown;
    return { undecodable: thrown.message };
  }
  return { payload_bytes: payload.length };
}
