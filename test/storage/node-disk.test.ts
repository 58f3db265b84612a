import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { chmod, mkdir, mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { type TestContext, test } from "node:test";
import type { StorageError } from "#storage";
// The host has no door: it is the top floor, and only its entry points and tests reach inside.
import { lockDataDirectory } from "../../src/host/data-directory.ts";
import { nodeDisk } from "../../src/host/disk.ts";
import { entries, open as openLog, vote } from "./log-fixture.ts";

async function scratch(t: TestContext): Promise<string> {
  const directory = await mkdtemp(path.join(os.tmpdir(), "ringraft-disk-"));
  t.after(() => rm(directory, { recursive: true, force: true }));
  return directory;
}

test("a log on the real disk comes back after a clean and after an unclean stop", async (t) => {
  const disk = nodeDisk(await scratch(t));
  const first = await openLog(disk);
  await first.wal.append({ entries: entries(1, 100), hardState: vote(2) });
  const second = await openLog(disk);
  await second.wal.append({ entries: entries(101, 120), hardState: null });
  await second.wal.close();
  const third = await openLog(disk);
  assert.deepEqual(third.recovered, { hardState: vote(2), entries: entries(1, 120) });
  await third.wal.close();
  await first.wal.close();
});

test("reads, writes, renames and lists as the port promises, with files 0600 and directories 0700", async (t) => {
  const root = await scratch(t);
  const disk = nodeDisk(root);
  await disk.makeDirectory("wal");
  await disk.makeDirectory("wal");
  const file = await disk.open("wal/a", { create: true });
  await file.write(3, Uint8Array.of(1, 2));
  await file.writeSynced(5, Uint8Array.of(9));
  assert.deepEqual(await file.read(2, 100), Uint8Array.of(0, 1, 2, 9));
  assert.deepEqual(await file.read(50, 4), new Uint8Array(0));
  await file.truncate(4);
  assert.equal(await file.size(), 4);
  await file.sync();
  await file.close();
  await disk.rename("wal/a", "wal/b");
  await disk.syncDirectory("wal");
  await disk.syncDirectory(".");
  assert.deepEqual(await disk.list("wal"), ["b"]);
  assert.equal((await stat(path.join(root, "wal/b"))).mode & 0o777, 0o600);
  assert.equal((await stat(path.join(root, "wal"))).mode & 0o777, 0o700);
  await disk.remove("wal/b");
  await assert.rejects(disk.open("wal/b", { create: false }), { code: "ENOENT" });
  assert.ok((await disk.freeBytes())! > 0);
});

test("a path that leaves the data directory is refused", async (t) => {
  const disk = nodeDisk(await scratch(t));
  for (const escape of ["../x", "/etc/passwd", "wal/../../x", `..`]) {
    await assert.rejects(disk.open(escape, { create: true }), { code: "EACCES" }, escape);
    await assert.rejects(disk.remove(escape), { code: "EACCES" }, escape);
  }
});

for (const how of ["socket", "file"] as const) {
  test(`a data directory locked by ${how} is refused to a second process until the first lets go`, async (t) => {
    const directory = await scratch(t);
    const lock = await lockDataDirectory(directory, how);
    const second = `
      import { lockDataDirectory } from ${JSON.stringify(path.join(import.meta.dirname, "../../src/host/data-directory.ts"))};
      try { await lockDataDirectory(${JSON.stringify(directory)}, "${how}"); console.log("locked"); }
      catch (error) { console.log(error.code, error.message); }`;
    const attempt = (): string =>
      spawnSync(process.execPath, ["--input-type=module-typescript", "-e", second], { encoding: "utf8" }).stdout;
    assert.match(
      attempt(),
      new RegExp(`^IN_USE data directory ${directory} is in use by (another process|process ${process.pid})`),
    );
    await lock.release();
    assert.equal(attempt(), "locked\n");
    const again = await lockDataDirectory(directory, how);
    await again.release();
  });
}

test("I8: a lock file whose holder is gone, whose pid has been given to another process, or that is half written, is taken over", async (t) => {
  const directory = await scratch(t);
  const first = await lockDataDirectory(directory, "file");
  const own = JSON.parse(await readFile(path.join(directory, "lock"), "utf8")) as { bootId: string; started: string };
  await first.release();
  const others = spawn(process.execPath, ["-e", "setInterval(() => {}, 1000)"], { stdio: "ignore" });
  t.after(() => others.kill("SIGKILL"));
  for (const stale of [
    JSON.stringify({ ...own, bootId: "another boot" }),
    JSON.stringify({ ...own, pid: others.pid }),
    JSON.stringify({ ...own, started: "earlier" }),
    JSON.stringify({ ...own, pid: 2 ** 22 + 1 }),
    '{"pid":',
    "",
  ]) {
    await writeFile(path.join(directory, "lock"), stale);
    const lock = await lockDataDirectory(directory, "file");
    const holder = JSON.parse(await readFile(path.join(directory, "lock"), "utf8")) as object;
    assert.deepEqual(holder, { ...own, pid: process.pid }, stale);
    await lock.release();
  }
});

test("a directory that is not fit to hold data is refused with its path and the way out", async (t) => {
  const parent = await scratch(t);
  const file = path.join(parent, "file");
  await writeFile(file, "");
  const open = path.join(parent, "open");
  await mkdir(open);
  await chmod(open, 0o777);
  const refused = (directory: string, hint: RegExp) => (error: StorageError) =>
    error.code === "UNUSABLE_DIRECTORY" && error.message.includes(directory) && hint.test(error.hint);
  await assert.rejects(lockDataDirectory(file), refused(file, /Name a directory/));
  await assert.rejects(lockDataDirectory(path.join(file, "below")), refused(file, /Name a directory/));
  await assert.rejects(lockDataDirectory(open), refused(open, /chmod 700/));
  const made = path.join(parent, "new", "deep");
  await (await lockDataDirectory(made)).release();
  assert.equal((await stat(made)).mode & 0o777, 0o700);
});
