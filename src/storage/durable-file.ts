import type { Disk } from "#ports";
import { StorageError } from "./error.ts";

/** Small values that are read whole and replaced whole: after a crash there is the old or the new, never a mixture. */
export async function writeDurably(disk: Disk, path: string, bytes: Uint8Array): Promise<void> {
  const draft = `${path}.tmp`;
  try {
    const file = await disk.open(draft, { create: true });
    try {
      await file.truncate(0);
      await file.write(0, bytes);
      await file.sync();
    } finally {
      await file.close();
    }
    await disk.rename(draft, path);
    await disk.syncDirectory(directoryOf(path));
  } catch (thrown) {
    throw StorageError.from(thrown, "writing it", path);
  }
}

function directoryOf(path: string): string {
  const slash = path.lastIndexOf("/");
  return slash === -1 ? "." : path.slice(0, slash);
}
