import type { Disk } from "#ports";
import { writeDurably } from "./durable-file.ts";
import { StorageError } from "./error.ts";
import { readWhole } from "./wal/segments.ts";

const BOOT_FILE = "boot-count.json";
const FORMAT_VERSION = 1;
/** It travels as an unsigned 32-bit number. */
const MAX_BOOT = 2 ** 32 - 1;

export interface CountedBoot {
  /** This boot's number, from 1. */
  readonly boot: number;
  /** Why the count began anew; null when it did not, or this is the first boot. */
  readonly problem: string | null;
}

/**
 * Counts one more life of this node; durable when it resolves, so that whatever is said in it beats all that was said before.
 * A count that cannot be read begins anew: the other members tell a node how far it had come.
 */
export async function countBoot(disk: Disk): Promise<CountedBoot> {
  const { boot, problem } = await readBoot(disk);
  const next = Math.min(boot + 1, MAX_BOOT);
  await writeBoot(disk, next);
  return { boot: next, problem };
}

/** A later boot will be above `boot`: somebody remembers lives that this directory does not. */
export async function raiseBoot(disk: Disk, boot: number): Promise<void> {
  if ((await readBoot(disk)).boot < boot) await writeBoot(disk, boot);
}

async function readBoot(disk: Disk): Promise<CountedBoot> {
  try {
    const parsed: unknown = JSON.parse(Buffer.from(await readWhole(disk, BOOT_FILE)).toString("utf8"));
    const { boot } = (parsed ?? {}) as { readonly boot?: unknown };
    if (typeof boot === "number" && Number.isSafeInteger(boot) && boot >= 0 && boot <= MAX_BOOT) return { boot, problem: null };
    return { boot: 0, problem: `${BOOT_FILE} holds no count` };
  } catch (thrown) {
    if (thrown instanceof StorageError && thrown.systemCode === "ENOENT") return { boot: 0, problem: null };
    if (thrown instanceof SyntaxError) return { boot: 0, problem: `${BOOT_FILE} is not JSON` };
    throw thrown;
  }
}

async function writeBoot(disk: Disk, boot: number): Promise<void> {
  await writeDurably(disk, BOOT_FILE, Buffer.from(`${JSON.stringify({ format_version: FORMAT_VERSION, boot })}\n`, "utf8"));
}
