import { ClusterId, NodeId } from "#kernel";
import type { Disk } from "#ports";
import { writeDurably } from "./durable-file.ts";
import { StorageError } from "./error.ts";
import { spendReserveOn } from "./reserve.ts";
import type { DataDirectoryIdentity } from "./types.ts";
import { WAL_DIRECTORY } from "./wal/format.ts";
import { listOrEmpty, readWhole } from "./wal/segments.ts";

const IDENTITY_FILE = "identity.json";
const IDENTITY_FORMAT_VERSION = 1;

/**
 * null in a directory that was never initialised; one that holds a log was. Throws StorageError: CORRUPT, FORMAT_TOO_NEW,
 * IO_FAILED.
 */
export async function readIdentity(disk: Disk): Promise<DataDirectoryIdentity | null> {
  let text: string;
  try {
    text = Buffer.from(await readWhole(disk, IDENTITY_FILE)).toString("utf8");
  } catch (thrown) {
    if (!(thrown instanceof StorageError) || (thrown.cause as { code?: unknown }).code !== "ENOENT") throw thrown;
    const log = await listOrEmpty(disk, WAL_DIRECTORY);
    if (log.length === 0) return null;
    throw new StorageError("CORRUPT", `it is missing, but ${WAL_DIRECTORY}/ holds a log`, { file: IDENTITY_FILE, cause: thrown });
  }
  return parseIdentity(text);
}

/** Of a directory that is made now. `directoryId` must be random: it tells this directory from any other of the same name. */
export function newIdentity(
  clusterId: ClusterId,
  nodeId: NodeId,
  directoryId: string,
  isLatecomer: boolean,
): DataDirectoryIdentity {
  const formatVersion = IDENTITY_FORMAT_VERSION;
  return { formatVersion, clusterId, nodeId, directoryId, starts: 0, initialising: false, isLatecomer };
}

/** Counts this start, durably, on a full disk with the help of the reserve; an older version's directory gets its id now. To be called once, before a peer is spoken to. */
export async function countStart(
  disk: Disk,
  identity: DataDirectoryIdentity,
  newDirectoryId: () => string,
): Promise<DataDirectoryIdentity> {
  const directoryId = identity.directoryId === "" ? newDirectoryId() : identity.directoryId;
  const counted = { ...identity, directoryId, starts: identity.starts + 1 };
  // A full disk must not keep down a voter that could come up: it may be the one that makes room, by a snapshot.
  await spendReserveOn(disk, () => writeIdentity(disk, counted));
  return counted;
}

/** Replaces the file whole, or not at all. */
export async function writeIdentity(disk: Disk, identity: DataDirectoryIdentity): Promise<void> {
  const text = `${JSON.stringify({
    format_version: identity.formatVersion,
    cluster_id: identity.clusterId,
    node_id: identity.nodeId,
    directory_id: identity.directoryId,
    starts: identity.starts,
    ...(identity.initialising ? { initialising: true } : {}),
    ...(identity.isLatecomer ? { latecomer: true } : {}),
  })}\n`;
  await writeDurably(disk, IDENTITY_FILE, Buffer.from(text, "utf8"));
}

function parseIdentity(text: string): DataDirectoryIdentity {
  const damaged = (problem: string, cause?: unknown): StorageError =>
    new StorageError("CORRUPT", problem, { file: IDENTITY_FILE, cause });
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch (thrown) {
    throw damaged("it is not JSON", thrown);
  }
  const fields = (typeof parsed === "object" ? parsed : null) as Readonly<Record<string, unknown>> | null;
  const formatVersion = fields?.["format_version"];
  if (typeof formatVersion !== "number" || !Number.isSafeInteger(formatVersion) || formatVersion < 1) {
    throw damaged("format_version is missing");
  }
  if (formatVersion > IDENTITY_FORMAT_VERSION) {
    const problem = `written in format ${formatVersion}; this version reads up to ${IDENTITY_FORMAT_VERSION}`;
    throw new StorageError("FORMAT_TOO_NEW", problem, { file: IDENTITY_FILE });
  }
  const clusterId = fields?.["cluster_id"];
  const nodeId = fields?.["node_id"];
  if (typeof clusterId !== "string" || clusterId === "") throw damaged("cluster_id is missing");
  if (typeof nodeId !== "string" || nodeId === "") throw damaged("node_id is missing");
  const { directory_id: directoryId = "", starts = 0, initialising = false, latecomer: isLatecomer = false } = fields ?? {};
  if (typeof directoryId !== "string") throw damaged("directory_id is no text");
  if (typeof starts !== "number" || !Number.isSafeInteger(starts) || starts < 0) throw damaged("starts is no count");
  if (typeof initialising !== "boolean") throw damaged("initialising is neither true nor false");
  if (typeof isLatecomer !== "boolean") throw damaged("latecomer is neither true nor false");
  const owner = { clusterId: ClusterId(clusterId), nodeId: NodeId(nodeId) };
  return { formatVersion, ...owner, directoryId, starts, initialising, isLatecomer };
}
