import { existsSync, statSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { createInterface } from "node:readline/promises";
import { ExitError, exitCodes } from "#kernel";
import type { Disk, LogFields } from "#ports";
import { StorageError } from "#storage";
import { UsageError } from "../command.ts";

/** The real disk comes with the whole server, which other commands need not load. */
export async function openDirectory(path: string): Promise<Disk> {
  if (!existsSync(path) || !statSync(path).isDirectory()) {
    throw new ExitError(
      2,
      `${path} is not a directory`,
      "Name a voter's data directory: the one that holds wal/ and identity.json.",
    );
  }
  if (!existsSync(join(path, "wal")))
    throw new ExitError(2, `${path} has no wal/ in it`, "Name a voter's data directory; workers have no log.");
  const { nodeDisk } = await import("#host");
  return nodeDisk(path);
}

/** A file as storage reads it: by its name, on a disk that is rooted beside it. */
export async function openFile(path: string): Promise<{ readonly disk: Disk; readonly file: string }> {
  if (!existsSync(path) || !statSync(path).isFile()) throw new ExitError(2, `${path} is not a file`);
  const { nodeDisk } = await import("#host");
  return { disk: nodeDisk(dirname(resolve(path))), file: basename(path) };
}

/** Runs `change` while no node can start on the directory; refuses (exit 75) while one runs. */
export async function whileStopped<T>(path: string, change: () => Promise<T>): Promise<T> {
  const { lockDataDirectory } = await import("#host");
  return await storageErrorsExplained(async () => {
    const lock = await lockDataDirectory(path);
    try {
      return await change();
    } finally {
      await lock.release();
    }
  });
}

/** What storage refuses, as a message with a node's exit codes. */
export async function storageErrorsExplained<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof StorageError)) throw error;
    const { StartError } = await import("#host");
    throw StartError.from(error);
  }
}

/** Nothing is destroyed by a slip: either `--yes`, or the words typed on a terminal. */
export async function confirmed(words: string, yes: boolean | undefined): Promise<void> {
  if (yes === true) return;
  if (!process.stdin.isTTY) throw new UsageError("this changes the directory: add --yes, or run it on a terminal");
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  try {
    const typed = await terminal.question(`Type "${words}" to go on: `);
    if (typed.trim() !== words) throw new ExitError(exitCodes.failed, "not confirmed; nothing was changed");
  } finally {
    terminal.close();
  }
}

/** A count of the command line. */
export function wholeNumber(option: string, text: string | undefined): number | null {
  if (text === undefined) return null;
  const value = Number(text);
  if (/^\d{1,16}$/.test(text) && Number.isSafeInteger(value)) return value;
  throw new UsageError(`${option} takes a whole number, not "${text}"`);
}

/** For what a tool has to say besides its result. */
export const quietLog = {
  error: (message: string, fields?: LogFields): void => {
    process.stderr.write(`${message}: ${JSON.stringify(fields ?? {})}\n`);
  },
};
