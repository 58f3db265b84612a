import assert from "node:assert/strict";
import { test } from "node:test";
import { LogIndex, NodeId } from "#kernel";
import { PeerDirectories, type ShownDirectory, isShutOut, judgePeer } from "#storage";
import { MemoryDisk } from "./memory-disk.ts";

const n2 = NodeId("n2");
const n3 = NodeId("n3");
const shown = (directoryId: string, starts: number, incarnation = starts): ShownDirectory => ({
  directoryId,
  starts,
  incarnation,
});

test("who is met for the first time is believed, and the same directory with more starts after that", () => {
  assert.deepEqual(judgePeer(n2, null, shown("a", 7)), { kind: "welcome", isNews: true });
  assert.deepEqual(judgePeer(n2, shown("a", 7), shown("a", 7)), { kind: "welcome", isNews: false });
  assert.deepEqual(judgePeer(n2, shown("a", 7), shown("a", 9)), { kind: "welcome", isNews: true });
  assert.deepEqual(judgePeer(n2, null, shown("", 0)), { kind: "welcome", isNews: false }, "a version without directory ids");
});

test("another directory under the same name is wiped, and told to rejoin as a new member", () => {
  for (const other of [shown("b", 1), shown("", 0)]) {
    const verdict = judgePeer(n2, shown("a", 7), other);
    assert.ok(verdict.kind === "refused" && verdict.fault === "wiped");
    assert.match(verdict.why, /rejoin as a new member: remove it from the cluster, then add it/);
  }
});

test("a start counter that goes backwards, or two processes with the same one, is a clone", () => {
  for (const other of [shown("a", 6), shown("a", 7, 99)]) {
    const verdict = judgePeer(n2, shown("a", 7), other);
    assert.ok(verdict.kind === "refused" && verdict.fault === "cloned", JSON.stringify(verdict));
  }
});

test("what was accepted is durable before it is answered, so that a crash makes nobody forget a wiped peer", async () => {
  const disk = new MemoryDisk();
  const directories = await PeerDirectories.open(disk);
  assert.equal(directories.knows(n2), false);
  await directories.meet(n2, shown("a", 1));
  disk.crash(() => 0.5, 0);
  const again = await PeerDirectories.open(disk);
  assert.equal(again.knows(n2), true);
  const verdict = await again.meet(n2, shown("b", 1));
  assert.ok(verdict.kind === "refused" && verdict.fault === "wiped");
  assert.equal((await again.meet(n2, shown("a", 2))).kind, "welcome");
});

test("a peer that cannot be remembered is not accepted", async () => {
  const disk = new MemoryDisk();
  const directories = await PeerDirectories.open(disk);
  disk.inject((operation) => (operation === "sync" ? "EIO" : null));
  await assert.rejects(directories.meet(n2, shown("a", 1)), { code: "IO_FAILED" });
  assert.equal(directories.knows(n2), false);
});

test("a full disk refuses strangers, not a known peer that was restarted: its count of starts is written as soon as there is room", async () => {
  const disk = new MemoryDisk();
  const directories = await PeerDirectories.open(disk);
  await directories.meet(n2, shown("a", 1));
  disk.inject((operation) => (operation === "write" ? "ENOSPC" : null));
  assert.equal((await directories.meet(n2, shown("a", 2))).kind, "welcome");
  assert.equal((await directories.meet(n2, shown("a", 1))).kind, "refused", "it is remembered in this life");
  await assert.rejects(directories.meet(n3, shown("c", 1)), { code: "IO_FAILED" });
  disk.inject((operation) => (operation === "write" ? "EIO" : null));
  await assert.rejects(directories.meet(n2, shown("a", 3)), { code: "IO_FAILED" }, "a broken disk is no full one");
  disk.inject(null);
  await directories.meet(n3, shown("c", 1));
  const again = await PeerDirectories.open(disk);
  assert.equal((await again.meet(n2, shown("a", 1))).kind, "refused");
});

test("on a full disk a removed peer is forgotten all the same, and after a restart when the configuration is told again", async () => {
  const disk = new MemoryDisk();
  const directories = await PeerDirectories.open(disk);
  await directories.meet(n2, shown("a", 1));
  await directories.configured(LogIndex(1), new Set([n2, n3]));
  disk.inject((operation) => (operation === "write" ? "ENOSPC" : null));
  await directories.configured(LogIndex(10), new Set([n3]));
  assert.equal(directories.knows(n2), false);
  disk.inject(null);
  const again = await PeerDirectories.open(disk);
  assert.equal(again.knows(n2), true);
  await again.configured(LogIndex(10), new Set([n3]));
  assert.equal(again.knows(n2), false);
});

test("who is removed from the cluster may come back with an empty directory; who stays may not", async () => {
  const disk = new MemoryDisk();
  const directories = await PeerDirectories.open(disk);
  await directories.meet(n2, shown("a", 1));
  await directories.meet(n3, shown("c", 1));
  await directories.configured(LogIndex(1), new Set([n2, n3]));
  await directories.configured(LogIndex(10), new Set([n3]));
  disk.crash(() => 0.5, 0);
  const again = await PeerDirectories.open(disk);
  assert.equal((await again.meet(n2, shown("b", 1))).kind, "welcome");
  assert.equal((await again.meet(n3, shown("d", 1))).kind, "refused");
  // A restart goes through the log again: the removal is an old story then, and n2 a member.
  await again.configured(LogIndex(10), new Set([n3]));
  assert.equal((await again.meet(n2, shown("e", 1))).kind, "refused");
});

test("who is removed and runs on may still come back empty, when it shows that before it is added again", async () => {
  const disk = new MemoryDisk();
  const met = await PeerDirectories.open(disk);
  await met.meet(n2, shown("a", 1));
  await met.configured(LogIndex(1), new Set([n2, n3]));
  await met.configured(LogIndex(9), new Set([n3]));
  for (const directories of [met, await PeerDirectories.open(disk)]) {
    assert.equal((await directories.meet(n2, shown("a", 1))).kind, "welcome");
    assert.equal((await directories.meet(n2, shown("a", 2))).kind, "welcome");
    assert.equal((await directories.meet(n2, shown("a", 1))).kind, "refused", "still no older copy");
    assert.equal(directories.knows(n2), false);
  }
  assert.equal((await met.meet(n2, shown("b", 1))).kind, "welcome");
  await met.configured(LogIndex(12), new Set([n2, n3]));
  assert.equal((await met.meet(n2, shown("c", 1))).kind, "refused", "the one that it came back with counts");
});

test("who is removed and added again with its old directory counts with that: wiped, it is refused, though it never introduced itself anew", async () => {
  const disk = new MemoryDisk();
  const met = await PeerDirectories.open(disk);
  await met.meet(n2, shown("a", 1));
  await met.configured(LogIndex(1), new Set([n2, n3]));
  await met.configured(LogIndex(9), new Set([n3]));
  await met.configured(LogIndex(12), new Set([n2, n3]));
  for (const directories of [met, await PeerDirectories.open(disk)]) {
    assert.equal((await directories.meet(n2, shown("b", 1))).kind, "refused");
    assert.equal((await directories.meet(n2, shown("a", 2))).kind, "welcome");
  }
});

test("a voter that lags behind does not forget a member to come when it hears of the configurations before that one", async () => {
  const directories = await PeerDirectories.open(new MemoryDisk());
  await directories.meet(n2, shown("a", 1));
  await directories.configured(LogIndex(60), new Set([n3]));
  await directories.configured(LogIndex(70), new Set([n2, n3]));
  const verdict = await directories.meet(n2, shown("b", 1));
  assert.ok(verdict.kind === "refused" && verdict.fault === "wiped");
  await directories.configured(LogIndex(80), new Set([n3]));
  assert.equal((await directories.meet(n2, shown("b", 1))).kind, "welcome", "once it has been a member, its leaving counts");
});

test("a damaged memory, at any byte, keeps nobody down and judges nobody wrongly: all are met for the first time", async () => {
  const disk = new MemoryDisk();
  await (await PeerDirectories.open(disk)).meet(n2, shown("a", 1));
  const good = disk.content("peers.cell").slice();
  for (let at = 0; at < good.length; at++) {
    const bad = good.slice();
    bad[at] = bad[at]! ^ (1 << (at % 8));
    disk.put("peers.cell", bad);
    const directories = await PeerDirectories.open(disk);
    assert.match(directories.problem ?? "", /peers\.cell is damaged/, `byte ${at}`);
    assert.equal(directories.knows(n2), false);
  }
});

test("one confused voter shuts nobody out: it takes a majority of all voters", () => {
  const by = (...ids: string[]): ReadonlySet<NodeId> => new Set(ids.map(NodeId));
  const three = ["n1", "n2", "n3"].map(NodeId);
  assert.equal(isShutOut(by("n2"), three), false);
  assert.equal(isShutOut(by("n2", "stranger"), three), false);
  assert.equal(isShutOut(by("n2", "n3"), three), true);
  assert.equal(isShutOut(by("n2"), three.slice(0, 2)), false, "of two, the other one is no majority");
});
