import assert from "node:assert/strict";
import { test } from "node:test";
import { ClusterId, NodeId } from "#kernel";
import { type StorageError, countStart, newIdentity, readIdentity, writeIdentity } from "#storage";
import { MemoryDisk } from "./memory-disk.ts";

const identity = newIdentity(ClusterId("cluster-a"), NodeId("n1"), "a-directory", false);

test("the identity survives a crash right after it was written, and is absent before", async () => {
  const disk = new MemoryDisk();
  assert.equal(await readIdentity(disk), null);
  await writeIdentity(disk, identity);
  disk.crash(() => 0.5, 0);
  assert.deepEqual(await readIdentity(disk), identity);
});

test("that a directory came late is remembered with it", async () => {
  const disk = new MemoryDisk();
  await writeIdentity(disk, { ...identity, isLatecomer: true });
  assert.equal((await readIdentity(disk))?.isLatecomer, true);
});

test("a log without an identity is damage, not an empty directory that could join another cluster", async () => {
  const disk = new MemoryDisk();
  disk.put("wal/0000000000000001-0000000000000001.wal", new Uint8Array(1));
  const before = disk.operations;
  await assert.rejects(readIdentity(disk), {
    code: "CORRUPT",
    file: "identity.json",
    message: /is missing, but wal\/ holds a log/,
  });
  assert.equal(disk.operations, before, "a refusal writes nothing");
});

test("a failed write leaves the identity that was there", async () => {
  const disk = new MemoryDisk();
  await writeIdentity(disk, identity);
  for (const operation of ["write", "sync", "rename"]) {
    disk.inject((asked) => (asked === operation ? "ENOSPC" : null));
    await assert.rejects(writeIdentity(disk, { ...identity, nodeId: NodeId("n2") }), {
      code: "IO_FAILED",
      file: "identity.json",
    });
    disk.inject(null);
    assert.deepEqual(await readIdentity(disk), identity, operation);
  }
});

test("a start is counted on a full disk too, with the help of the log's reserve", async () => {
  const disk = new MemoryDisk();
  await writeIdentity(disk, identity);
  disk.inject((operation) => (operation === "write" ? "ENOSPC" : null));
  await assert.rejects(
    countStart(disk, identity, () => "other"),
    { code: "IO_FAILED", hint: /The disk is full/ },
    "there is no reserve",
  );
  disk.put("reserve", new Uint8Array(4096));
  disk.inject((operation) => (operation === "write" && disk.files().includes("reserve") ? "ENOSPC" : null));
  assert.equal((await countStart(disk, identity, () => "other")).starts, 1);
  disk.crash(() => 0.5, 0);
  assert.equal((await readIdentity(disk))?.starts, 1);
});

test("an identity that is damaged or of a newer format is refused with the file's name", async () => {
  const disk = new MemoryDisk();
  for (const [text, code] of [
    ["", "CORRUPT"],
    ["null", "CORRUPT"],
    ['{"format_version":1,"cluster_id":"a"}', "CORRUPT"],
    ['{"format_version":"1","cluster_id":"a","node_id":"b"}', "CORRUPT"],
    ['{"format_version":1,"cluster_id":7,"node_id":"b"}', "CORRUPT"],
    ['{"format_version":2,"anything":"else"}', "FORMAT_TOO_NEW"],
  ] as const) {
    disk.put("identity.json", Buffer.from(text));
    await assert.rejects(
      readIdentity(disk),
      (error: StorageError) => error.code === code && error.message.startsWith("identity.json: "),
      text,
    );
  }
});

test("every start is counted durably, and a directory of an older version gets its own id with the first", async () => {
  const disk = new MemoryDisk();
  disk.put("identity.json", Buffer.from('{"format_version":1,"cluster_id":"cluster-a","node_id":"n1"}'));
  const old = (await readIdentity(disk))!;
  assert.deepEqual([old.directoryId, old.starts, old.initialising], ["", 0, false]);
  await countStart(disk, old, () => "made-now");
  disk.crash(() => 0.5, 0);
  const counted = (await readIdentity(disk))!;
  assert.deepEqual([counted.directoryId, counted.starts], ["made-now", 1]);
  assert.equal((await countStart(disk, counted, () => "never asked for")).starts, 2);
  assert.equal((await readIdentity(disk))!.directoryId, "made-now");
});
