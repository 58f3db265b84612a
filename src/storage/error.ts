/**
 * - `CORRUPT`: what was once durable is damaged; nothing may be built on it
 * - `AMBIGUOUS`: the last batch is damaged, it cannot be told whether it had been acknowledged, and the second copy of the
 *   vote is not there to go on with
 * - `FORMAT_TOO_NEW`: written by a version that this one cannot read
 * - `WRONG_CLUSTER`, `WRONG_NODE`: a healthy file of somebody else
 * - `IO_FAILED`: the disk refused; `cause` has the system's code. Final for the log that met it
 * - `TOO_LARGE`: over a documented limit; nothing was written
 * - `NOT_FOUND`: no such snapshot
 * - `CLOSED`: used after `close`
 * - `IN_USE`, `UNUSABLE_DIRECTORY`: the data directory is another process's, or not fit to hold data
 */
export type StorageErrorCode =
  | "CORRUPT"
  | "AMBIGUOUS"
  | "FORMAT_TOO_NEW"
  | "WRONG_CLUSTER"
  | "WRONG_NODE"
  | "IO_FAILED"
  | "TOO_LARGE"
  | "NOT_FOUND"
  | "CLOSED"
  | "IN_USE"
  | "UNUSABLE_DIRECTORY";

/** Bad news of the disk, for a person: what, in which file, at which byte, and the way out. */
export class StorageError extends Error {
  override readonly name = "StorageError";
  readonly code: StorageErrorCode;
  /** Relative to the data directory; null where no single file is to blame. */
  readonly file: string | null;
  readonly offset: number | null;
  /** What an operator can do. */
  readonly hint: string;

  constructor(
    code: StorageErrorCode,
    problem: string,
    more: { readonly file?: string; readonly offset?: number; readonly hint?: string; readonly cause?: unknown } = {},
  ) {
    const at =
      more.file === undefined ? "" : more.offset === undefined ? `${more.file}: ` : `${more.file} at byte ${more.offset}: `;
    super(`${at}${problem}`, more.cause === undefined ? undefined : { cause: more.cause });
    this.code = code;
    this.file = more.file ?? null;
    this.offset = more.offset ?? null;
    this.hint = more.hint ?? (isDiskFull(this) ? DISK_FULL : HINTS[code]);
  }

  /** The system's code of an `IO_FAILED` (ENOSPC, EIO, ENOENT, …). */
  get systemCode(): string | null {
    return systemCodeOf(this.cause);
  }

  /** Wraps what a disk operation threw; a StorageError stays as it is. */
  static from(thrown: unknown, doing: string, file: string): StorageError {
    if (thrown instanceof StorageError) return thrown;
    const reason = thrown instanceof Error ? thrown.message : String(thrown);
    return new StorageError("IO_FAILED", `${doing} failed: ${reason}`, { file, cause: thrown });
  }
}

/** No space, or no quota, is left; looks through what wraps the system's error. */
export function isDiskFull(error: unknown): boolean {
  for (let at = error; at instanceof Error; at = at.cause) {
    const code = systemCodeOf(at);
    if (code === "ENOSPC" || code === "EDQUOT") return true;
  }
  return false;
}

function systemCodeOf(thrown: unknown): string | null {
  const code = (thrown as { code?: unknown } | undefined)?.code;
  return typeof code === "string" ? code : null;
}

const DISK_FULL =
  "The disk is full, and the reserve is used up: free space (never under wal/ or snap/), then start the node again. " +
  "Nothing that was acknowledged is lost.";

const REJOIN =
  "Do not delete files to get it started: a voter that forgets its votes can break the cluster. " +
  "Keep the directory for analysis; docs/raft.md, `When a voter does not start`, tells how to replace the voter.";

const HINTS = {
  CORRUPT: `Check the disk, see \`ringraft wal verify\`. ${REJOIN}`,
  AMBIGUOUS: `The last write may have been acknowledged or hold a vote, so it must not be dropped silently. ${REJOIN}`,
  FORMAT_TOO_NEW: "Start the version of ringraft that wrote this directory, or a newer one.",
  WRONG_CLUSTER: "Point data_directory at this cluster's own directory, or correct the cluster id.",
  WRONG_NODE: "Point data_directory at this node's own directory, or correct the node id.",
  IO_FAILED: "Check the disk and its free space, then start the node again.",
  TOO_LARGE: "Split what is written.",
  NOT_FOUND: "List the snapshots first: it may have been replaced by a newer one.",
  CLOSED: "The node is stopping.",
  IN_USE: "Stop the other process, or give this one a data directory of its own.",
  UNUSABLE_DIRECTORY: "Correct the directory's path, owner or permissions.",
} as const satisfies Record<StorageErrorCode, string>;
