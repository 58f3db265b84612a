/**
 * The file system as the write-ahead log and the snapshot store see it. Paths are relative to one data directory.
 * Every failure is an Error with a `code` (ENOSPC, EIO, ENOENT, …). A failed `sync` must never be retried: the kernel has
 * marked the pages clean ("fsyncgate", Rebello et al., ATC '20).
 */
export interface Disk {
  /** Creates if `create`; fails with ENOENT otherwise. */
  open(path: string, options: { readonly create: boolean }): Promise<DiskFile>;
  list(directory: string): Promise<readonly string[]>;
  rename(from: string, to: string): Promise<void>;
  remove(path: string): Promise<void>;
  makeDirectory(path: string): Promise<void>;
  /** Makes creates, renames and removes in `directory` durable. */
  syncDirectory(directory: string): Promise<void>;
  /** Bytes left for data; null where it is unknown. */
  freeBytes(): Promise<number | null>;
}

export interface DiskFile {
  readonly size: () => Promise<number>;
  /** Reads up to `length` bytes; shorter only at the end of the file. */
  read(position: number, length: number): Promise<Uint8Array>;
  /** Writes all of `bytes` (short writes are continued) without making them durable. */
  write(position: number, bytes: Uint8Array): Promise<void>;
  /** `write`, then `fdatasync`: the one call of a group commit. */
  writeSynced(position: number, bytes: Uint8Array): Promise<void>;
  sync(): Promise<void>;
  truncate(size: number): Promise<void>;
  close(): Promise<void>;
}

/** Held for the life of the process; the kernel frees it on death. */
export interface DirectoryLock {
  release(): Promise<void>;
}
