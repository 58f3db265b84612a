import { type ClusterId, ClusterTimeMs, LogIndex, type NodeId, Term, WallTimeMs } from "#kernel";
import type { Disk, Log } from "#ports";
import { type Entry, type SnapshotMeta, encodeConfiguration, settledConfiguration } from "#raft";
import { createStateMachine, restoringStateMachine, type StateMachine } from "#statemachine";
import { applyEntry, restoreFrom, snapshotContent } from "#replica";
import {
  StorageError,
  checkHistoryIsWhole,
  checkSnapshots,
  newIdentity,
  openSnapshotStore,
  openWal,
  readLog,
  readSnapshotFile,
  writeDurably,
  writeIdentity,
  type CheckedSnapshot,
  type LogContent,
} from "#storage";

/**
 * Indexes are fencing tokens and revisions, and those must only ever rise, also from an old cluster to the one that replaces
 * it. How far the old one got is not known to whoever restores an older copy, so this many indexes are left out: what a cluster
 * hands out in thirty years at a thousand a second. Numbers up to 2^53 have room for eight thousand such steps.
 */
export const INDEX_GAP = 2 ** 40;
/** Elections are rarer than entries. */
const TERM_GAP = 2 ** 20;

/** A stopped voter's data directory, read and not changed. */
export interface StoredHistory {
  readonly log: LogContent;
  /** The newest whole snapshot. */
  readonly snapshot: Extract<CheckedSnapshot, { ok: true }> | null;
  /** Those of the log that the snapshot does not have. */
  readonly following: readonly Entry[];
  /** The last entry, or what the snapshot says of it; null when there is nothing at all. */
  readonly last: Pick<Entry, "index" | "term" | "clusterTimeMs" | "wallTimeMs"> | null;
}

/** Throws StorageError (CORRUPT) when entries are missing between snapshot and log. */
export async function readHistory(disk: Disk): Promise<StoredHistory> {
  const log = await readLog(disk);
  const snapshot = (await checkSnapshots(disk)).find((checked) => checked.ok) ?? null;
  checkHistoryIsWhole(log, snapshot?.meta ?? null);
  const covered = snapshot === null ? 0 : snapshot.meta.index - log.startsAfter;
  // A log that does not hold the snapshot's last entry belongs to a history that the snapshot replaced.
  const continues = covered === 0 || log.entries[covered - 1]?.term === snapshot?.meta.term;
  const following = continues ? log.entries.slice(covered) : [];
  return { log, snapshot, following, last: following.at(-1) ?? snapshot?.meta ?? null };
}

/** The state after the last entry that the directory holds. */
export async function stateOf(
  disk: Disk,
  { snapshot, following }: StoredHistory,
  log: Pick<Log, "error">,
): Promise<StateMachine> {
  const machine = snapshot === null ? createStateMachine() : await stateInFile(disk, snapshot.file);
  for (const entry of following) applyEntry(machine, entry, log);
  return machine;
}

/** The state that one snapshot file holds. */
export function stateInFile(disk: Disk, file: string): Promise<StateMachine> {
  return restoreFrom(readSnapshotFile(disk, file), restoringStateMachine());
}

export interface FoundingState {
  readonly machine: StateMachine;
  /** Of the entry that the state stands at. */
  readonly last: Pick<SnapshotMeta, "index" | "term" | "clusterTimeMs" | "wallTimeMs">;
  /** The highest term that is known of the old cluster. */
  readonly term: Term;
}

export interface Founding {
  readonly clusterId: ClusterId;
  readonly nodeId: NodeId;
  /** Random. */
  readonly directoryId: string;
  /** No index at or below this one is used again; at least {@link INDEX_GAP} are left out in any case. */
  readonly minIndex: number;
  /** What the audit record shall say besides what is known here. */
  readonly record: Readonly<Record<string, unknown>>;
  /** Files of the old cluster go into this folder of the directory; null: there must be none. */
  readonly backupFolder: string | null;
}

export interface Founded {
  readonly firstIndex: LogIndex;
  readonly term: Term;
}

/** Durable, beside the log; what was done, from what, by whom. */
export const RECOVERY_RECORD = "recovery.json";

/**
 * Makes `disk` the data directory of a cluster of one voter that goes on from `from`. The state becomes a snapshot above every
 * index that may have been handed out, and the first entry behind it names the only voter.
 *
 * The record and then the identity say first that this has begun: whatever happens in between, no node starts on half of it.
 */
export async function foundCluster(disk: Disk, from: FoundingState, founding: Founding): Promise<Founded> {
  const { clusterId, nodeId, backupFolder } = founding;
  const index = LogIndex(Math.max(from.last.index + INDEX_GAP, founding.minIndex));
  const term = Term(Math.max(from.last.term, from.term) + TERM_GAP);
  const clusterTimeMs = ClusterTimeMs(Math.max(from.last.clusterTimeMs, from.machine.clusterTimeMs));
  const wallTimeMs = WallTimeMs(from.last.wallTimeMs);
  from.machine.skip({ index, clusterTimeMs, wallTimeMs });

  const identity = newIdentity(clusterId, nodeId, founding.directoryId, false);
  const firstIndex = LogIndex(index + 1);
  const told = {
    ...founding.record,
    cluster_id: clusterId,
    node_id: nodeId,
    first_index: String(firstIndex),
    term: String(term),
  };
  if (backupFolder !== null) {
    await copyIdentity(disk, backupFolder);
    await setAside(disk, backupFolder, (name) => name === RECOVERY_RECORD);
  }
  await writeRecord(disk, { ...told, stage: "setting_aside" });
  await writeIdentity(disk, { ...identity, initialising: true });
  if (backupFolder !== null) await setAside(disk, backupFolder, (name) => name !== IDENTITY_FILE && name !== RECOVERY_RECORD);
  // From here on what stands beside the backup is new: whoever goes back must know which is which.
  await writeRecord(disk, { ...told, stage: "building" });

  const configuration = settledConfiguration([nodeId]);
  const meta: SnapshotMeta = { index, term, clusterTimeMs, wallTimeMs, configuration };
  const snapshots = await openSnapshotStore(disk);
  await snapshots.save(meta, from.machine.digest(), snapshotContent(from.machine.snapshot()));
  const { wal } = await openWal(disk, { clusterId, nodeId });
  try {
    await wal.resetTo(meta);
    const data = encodeConfiguration(configuration);
    const first: Entry = { term, index: firstIndex, kind: "configuration", clusterTimeMs, wallTimeMs, data };
    await wal.append({ entries: [first], hardState: { term, votedFor: null } });
  } finally {
    await wal.close();
  }
  await writeRecord(disk, { ...told, stage: "done" });
  await writeIdentity(disk, identity);
  return { firstIndex, term };
}

function writeRecord(disk: Disk, record: Readonly<Record<string, unknown>>): Promise<void> {
  return writeDurably(disk, RECOVERY_RECORD, Buffer.from(`${JSON.stringify(record, null, 2)}\n`, "utf8"));
}

const IDENTITY_FILE = "identity.json";
const BACKUP_PREFIX = "backup-";

/** Moves what `isMoved` says into `folder`, except other backups and locks. A rename: it costs no space and loses nothing. */
export async function setAside(disk: Disk, folder: string, isMoved: (name: string) => boolean): Promise<void> {
  await disk.makeDirectory(folder);
  for (const name of await disk.list(".")) {
    if (name.startsWith(BACKUP_PREFIX) || name === "lock" || name.startsWith("lock.") || !isMoved(name)) continue;
    await disk.rename(name, `${folder}/${name}`);
  }
  await disk.syncDirectory(folder);
  await disk.syncDirectory(".");
}

async function copyIdentity(disk: Disk, folder: string): Promise<void> {
  await disk.makeDirectory(folder);
  const file = await disk.open(IDENTITY_FILE, { create: false });
  try {
    await writeDurably(disk, `${folder}/${IDENTITY_FILE}`, await file.read(0, await file.size()));
  } finally {
    await file.close();
  }
}

/** A name that no other backup of the directory has. */
export function backupName(doing: string, wallMs: number): string {
  return `${BACKUP_PREFIX}${doing}-${wallMs}`;
}

/** Throws StorageError when the log is damaged where a start would refuse it. */
export function requireSound({ log }: StoredHistory): void {
  if (log.damage?.code === "CORRUPT") throw log.damage;
}

/**
 * Writes the log anew without its entries from `at` on, and what could not be read behind them. Votes are kept. The voter is
 * suspect from then on: any of those entries may have been acknowledged by it, so it counts for nothing until a leader has
 * caught it up.
 */
export async function cutLog(
  disk: Disk,
  { log, snapshot, following }: StoredHistory,
  cut: { readonly at: LogIndex; readonly clusterId: ClusterId; readonly nodeId: NodeId; readonly backupFolder: string },
): Promise<void> {
  const { at, clusterId, nodeId, backupFolder } = cut;
  if (at <= (snapshot?.meta.index ?? 0)) {
    const problem = `entry ${at} is in the snapshot at ${snapshot?.meta.index ?? 0}: what a snapshot has is committed and applied`;
    throw new StorageError("TOO_LARGE", problem, { hint: "Name an index above the newest snapshot's." });
  }
  const kept = following.filter((entry) => entry.index < at);
  // Of an attempt that was interrupted.
  await setAside(disk, backupFolder, (name) => name === REBUILT);
  // The vote's file stays until the end: while it stands beside no log, no start accepts the directory.
  const { wal } = await openWal(within(disk, REBUILT), { clusterId, nodeId, startsSuspect: true });
  try {
    if (snapshot !== null) await wal.resetTo(snapshot.meta);
    await wal.append({ entries: kept, hardState: log.hardState });
  } finally {
    await wal.close();
  }
  await setAside(disk, backupFolder, (name) => name === "wal");
  for (const name of ["wal", "vote.cell"]) await disk.rename(`${REBUILT}/${name}`, name);
  await disk.syncDirectory(".");
  await disk.rename(REBUILT, `${backupFolder}/rest`);
}

const REBUILT = "rebuilt";

/** One folder of a disk as a disk of its own. */
function within(disk: Disk, folder: string): Disk {
  const inside = (path: string): string => (path === "." ? folder : `${folder}/${path}`);
  return {
    open: (path, options) => disk.open(inside(path), options),
    list: (path) => disk.list(inside(path)),
    rename: (from, to) => disk.rename(inside(from), inside(to)),
    remove: (path) => disk.remove(inside(path)),
    makeDirectory: (path) => disk.makeDirectory(inside(path)),
    syncDirectory: (path) => disk.syncDirectory(inside(path)),
    freeBytes: () => disk.freeBytes(),
  };
}
