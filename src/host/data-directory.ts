import { spawnSync } from "node:child_process";
import fs from "node:fs";
import { access, constants, link, mkdir, open, readFile, rename, stat, unlink, writeFile } from "node:fs/promises";
import net from "node:net";
import os from "node:os";
import path from "node:path";
import type { DirectoryLock } from "#ports";
import { StorageError } from "#storage";

/**
 * Makes the data directory if it is absent (0700), checks that it is fit to hold data, and locks it for this process:
 * by an abstract socket on Linux, elsewhere by a file.
 *
 * Throws StorageError: UNUSABLE_DIRECTORY (no directory, wrong owner, not writable, writable for everyone) or IN_USE; both
 * name the path and the way out.
 */
export async function lockDataDirectory(
  directory: string,
  how: "socket" | "file" = process.platform === "linux" ? "socket" : "file",
): Promise<DirectoryLock> {
  const absolute = path.resolve(directory);
  const { dev, ino } = await usableDirectory(absolute);
  return how === "socket" ? await lockBySocket(absolute, `${dev}-${ino}`) : await lockByFile(absolute);
}

async function usableDirectory(directory: string): Promise<fs.Stats> {
  const unusable = (problem: string, hint: string, cause?: unknown): StorageError =>
    new StorageError("UNUSABLE_DIRECTORY", `data directory ${directory} ${problem}`, { hint, cause });
  try {
    const firstMade = await mkdir(directory, { recursive: true, mode: 0o700 });
    if (firstMade !== undefined) await syncParents(directory, firstMade);
  } catch (thrown) {
    const isFile = ["EEXIST", "ENOTDIR"].includes(errorCode(thrown));
    if (isFile) throw unusable("is not a directory", "Name a directory, or move the file away.", thrown);
    throw unusable(`cannot be made (${errorCode(thrown)})`, `Make it by hand: mkdir -p -m 700 ${directory}`, thrown);
  }
  const found = await stat(directory);
  const self = process.geteuid?.() ?? found.uid;
  if (found.uid !== self) {
    throw unusable(
      `belongs to user ${found.uid}, this process runs as user ${self}`,
      `Run as its owner, or: chown -R ${self} ${directory}`,
    );
  }
  if ((found.mode & 0o002) !== 0) {
    throw unusable(`is writable for everyone (mode ${(found.mode & 0o777).toString(8)})`, `chmod 700 ${directory}`);
  }
  try {
    await access(directory, constants.R_OK | constants.W_OK | constants.X_OK);
  } catch (thrown) {
    throw unusable(
      `is not writable (${errorCode(thrown)})`,
      `Check its mode and that the file system is not read-only: chmod 700 ${directory}`,
      thrown,
    );
  }
  return found;
}

/** Without it a power cut may take the whole directory, and with it a vote that was given. */
async function syncParents(directory: string, firstMade: string): Promise<void> {
  for (let made = directory; ; made = path.dirname(made)) {
    const parent = await open(path.dirname(made), constants.O_RDONLY);
    try {
      await parent.sync();
    } finally {
      await parent.close();
    }
    if (made === firstMade) return;
  }
}

function inUse(directory: string, by: string): StorageError {
  return new StorageError("IN_USE", `data directory ${directory} is in use by ${by}`);
}

/**
 * An abstract socket named after the directory's device and inode: the kernel lets one process have the name and frees it
 * when that process dies, however it dies. Nothing is left on disk, and two paths to one directory are one name.
 * The name lives in a network namespace: containers that share a directory but no network are not kept apart.
 */
async function lockBySocket(directory: string, identity: string): Promise<DirectoryLock> {
  const server = net.createServer((socket) => socket.destroy());
  await new Promise<void>((resolve, reject) => {
    server.once("error", (error) => reject(errorCode(error) === "EADDRINUSE" ? inUse(directory, "another process") : error));
    server.listen(`\0ringraft-data-${identity}`, resolve);
  });
  server.unref();
  return {
    release: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
      }),
  };
}

/**
 * Where there are no abstract sockets: a file that says who holds it, linked into place whole, so that nobody reads half of
 * it. A holder that is gone loses it: its file is moved aside, and looked at again, for another process may have been faster.
 */
async function lockByFile(directory: string): Promise<DirectoryLock> {
  const file = path.join(directory, "lock");
  const own = `${file}.${process.pid}`;
  const aside = `${own}.stale`;
  const mine: LockHolder = { pid: process.pid, bootId: bootId(), started: startOf(process.pid) };
  await writeFile(own, JSON.stringify(mine), { mode: 0o600 });
  try {
    for (let attempt = 0; attempt < 2; attempt++) {
      if (await linked(own, file)) return { release: () => unlink(file) };
      const holder = await readHolder(file);
      if (holder !== null && isAlive(holder, mine)) throw inUse(directory, `process ${holder.pid}`);
      await rename(file, aside);
      const moved = await readHolder(aside);
      if (moved !== null && isAlive(moved, mine)) {
        await linked(aside, file);
        throw inUse(directory, `process ${moved.pid}`);
      }
    }
    throw inUse(directory, "another process that is starting");
  } finally {
    await Promise.allSettled([unlink(own), unlink(aside)]);
  }
}

async function linked(from: string, to: string): Promise<boolean> {
  try {
    await link(from, to);
    return true;
  } catch (thrown) {
    if (errorCode(thrown) === "EEXIST") return false;
    throw thrown;
  }
}

interface LockHolder {
  readonly pid: number;
  /** Changes with every boot: a pid of an earlier boot means nothing. */
  readonly bootId: string;
  /** When the process began, in the system's words: a pid is given again. Null where the system does not tell. */
  readonly started: string | null;
}

async function readHolder(file: string): Promise<LockHolder | null> {
  try {
    return JSON.parse(await readFile(file, "utf8")) as LockHolder;
  } catch {
    return null;
  }
}

function isAlive(holder: LockHolder, mine: LockHolder): boolean {
  if (holder.bootId !== mine.bootId) return false;
  try {
    process.kill(holder.pid, 0);
  } catch (thrown) {
    if (errorCode(thrown) !== "EPERM") return false;
  }
  // The number may have been given to another process, this one among them. Where either start is unknown, the holder is left in peace.
  if (holder.pid === mine.pid) return holder.started !== null && holder.started === mine.started;
  const started = startOf(holder.pid);
  return started === null || typeof holder.started !== "string" || started === holder.started;
}

/**
 * The same words whenever they are asked for while the process lives: clock ticks since the boot on Linux, since a wall clock that
 * is set would move the time of day; elsewhere what `ps` says.
 */
function startOf(pid: number): string | null {
  try {
    // The second field is a file name in parentheses, which may hold anything; the 20th after it is the start.
    const stat = fs.readFileSync(`/proc/${pid}/stat`, "utf8");
    return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19] ?? null;
  } catch {
    const { stdout, status } = spawnSync("ps", ["-o", "lstart=", "-p", `${pid}`], {
      encoding: "utf8",
      env: { ...process.env, LC_ALL: "C", TZ: "UTC" },
      timeout: 5_000,
    });
    return status === 0 && stdout.trim() !== "" ? stdout.trim() : null;
  }
}

/** Boot time to the minute where the system has no boot id: clocks are adjusted by seconds, not by minutes. */
function bootId(): string {
  try {
    return fs.readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
  } catch {
    return `boot-${Math.round((Date.now() - os.uptime() * 1000) / 60_000)}`;
  }
}

function errorCode(thrown: unknown): string {
  return (thrown as { code?: string }).code ?? "unknown";
}
