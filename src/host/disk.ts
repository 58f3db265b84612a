import fs from "node:fs";
import { type FileHandle, mkdir, open, readdir, rename, statfs, unlink } from "node:fs/promises";
import path from "node:path";
import { promisify } from "node:util";
import type { Disk, DiskFile } from "#ports";

const FILE_MODE = 0o600;
const DIRECTORY_MODE = 0o700;
const fdatasync = promisify(fs.fdatasync);

/**
 * The real disk, rooted at a data directory that exists. Errors are those of node:fs with their codes. A path that leaves
 * the root is refused with EACCES before anything is touched.
 */
export function nodeDisk(root: string): Disk {
  const base = path.resolve(root);
  const inside = (relative: string): string => {
    const absolute = path.resolve(base, relative);
    if (absolute === base || absolute.startsWith(base + path.sep)) return absolute;
    throw Object.assign(new Error(`EACCES: "${relative}" is outside the data directory ${base}`), {
      code: "EACCES",
      path: relative,
    });
  };
  return {
    async open(file, { create }) {
      const flags = fs.constants.O_RDWR | (create ? fs.constants.O_CREAT : 0);
      return new NodeFile(await open(inside(file), flags, FILE_MODE));
    },
    list: async (directory) => readdir(inside(directory)),
    rename: async (from, to) => rename(inside(from), inside(to)),
    remove: async (file) => unlink(inside(file)),
    async makeDirectory(directory) {
      await mkdir(inside(directory), { recursive: true, mode: DIRECTORY_MODE });
    },
    async syncDirectory(directory) {
      const handle = await open(inside(directory), fs.constants.O_RDONLY);
      try {
        await handle.sync();
      } finally {
        await handle.close();
      }
    },
    async freeBytes() {
      const { bavail, bsize } = await statfs(base);
      return bavail * bsize;
    },
  };
}

class NodeFile implements DiskFile {
  readonly #handle: FileHandle;

  constructor(handle: FileHandle) {
    this.#handle = handle;
  }

  async size(): Promise<number> {
    return (await this.#handle.stat()).size;
  }

  async read(position: number, length: number): Promise<Uint8Array> {
    const available = Math.max(0, (await this.size()) - position);
    const bytes = new Uint8Array(Math.min(length, available));
    let done = 0;
    while (done < bytes.length) {
      const { bytesRead } = await this.#handle.read(bytes, done, bytes.length - done, position + done);
      if (bytesRead === 0) return bytes.subarray(0, done);
      done += bytesRead;
    }
    return bytes;
  }

  async write(position: number, bytes: Uint8Array): Promise<void> {
    let done = 0;
    while (done < bytes.length) {
      const { bytesWritten } = await this.#handle.write(bytes, done, bytes.length - done, position + done);
      done += checkedProgress(bytesWritten, bytes.length - done);
    }
  }

  /**
   * The write goes into the page cache at memory speed, so it is done here and now; only the sync is worth a trip to
   * another thread. One trip instead of two is what a group commit costs most.
   */
  async writeSynced(position: number, bytes: Uint8Array): Promise<void> {
    const { fd } = this.#handle;
    let done = 0;
    while (done < bytes.length) {
      done += checkedProgress(fs.writeSync(fd, bytes, done, bytes.length - done, position + done), bytes.length - done);
    }
    await fdatasync(fd);
  }

  async sync(): Promise<void> {
    await this.#handle.sync();
  }

  async truncate(size: number): Promise<void> {
    await this.#handle.truncate(size);
  }

  async close(): Promise<void> {
    await this.#handle.close();
  }
}

/** A write that takes nothing and reports no error would loop for ever. */
function checkedProgress(written: number, wanted: number): number {
  if (written > 0) return written;
  throw Object.assign(new Error(`EIO: the disk took none of ${wanted} bytes`), { code: "EIO" });
}
