import assert from "node:assert/strict";
import { test } from "node:test";
import { crc32 } from "node:zlib";
import { LogIndex, NodeId } from "#kernel";
import { type PlacedConfiguration, settledConfiguration } from "#raft";
import { PeerDirectories, type ShownDirectory, type Standing, isShutOut, judgePeer } from "#storage";
import { MemoryDisk } from "./memory-disk.ts";

const n2 = NodeId("n2");
const n3 = NodeId("n3");
const shown = (directoryId: string, starts: number, { incarnation = starts, admission = 0 } = {}): ShownDirectory => ({
  directoryId,
  starts,
  incarnation,
  admission: LogIndex(admission),
});
const member = (admission: number, configurationIndex = 50): Standing => ({
  admission: LogIndex(admission),
  configurationIndex: LogIndex(configurationIndex),
});
const stranger = (configurationIndex: number): Standing => ({
  admission: null,
  configurationIndex: LogIndex(configurationIndex),
});
const founder = member(0);
const welcome = (admission: number | null, isNews: boolean) => ({ kind: "welcome", admission, isNews });

test("who is met for the first time is believed, and the same directory with more starts after that", () => {
  assert.deepEqual(judgePeer(n2, null, shown("a", 7), founder), welcome(0, true));
  assert.deepEqual(judgePeer(n2, shown("a", 7), shown("a", 7), founder), welcome(0, false));
  assert.deepEqual(judgePeer(n2, shown("a", 7), shown("a", 9), founder), welcome(0, true));
  assert.deepEqual(judgePeer(n2, null, shown("", 0), founder), welcome(0, false), "a version without directory ids");
});

test("another directory under the same name is wiped, and told to rejoin as a new member", () => {
  for (const other of [shown("b", 1), shown("", 0)]) {
    const verdict = judgePeer(n2, shown("a", 7), other, founder);
    assert.ok(verdict.kind === "refused" && verdict.fault === "wiped");
    assert.match(verdict.why, /rejoin as a new member: remove it from the cluster, then add it/);
  }
});

test("a start counter that goes backwards, or two processes with the same one, is a clone", () => {
  for (const other of [shown("a", 6), shown("a", 7, { incarnation: 99 })]) {
    const verdict = judgePeer(n2, shown("a", 7), other, founder);
    assert.ok(verdict.kind === "refused" && verdict.fault === "cloned", JSON.stringify(verdict));
  }
});

test("a new membership begins with whichever directory comes first in it, and holds the node to that", () => {
  const old = shown("a", 7);
  for (const directory of [shown("b", 1), shown("a", 8), shown("a", 2)]) {
    assert.deepEqual(judgePeer(n2, old, directory, member(20)), welcome(20, true), "by the judge's log");
  }
  const met = shown("b", 1, { admission: 20 });
  assert.deepEqual(judgePeer(n2, met, shown("b", 1, { admission: 20 }), member(20)), welcome(20, false));
  for (const directory of [shown("c", 1), shown("a", 9), shown("", 0)]) {
    assert.equal(judgePeer(n2, met, directory, member(20)).kind, "refused", "a wiped one shows no membership");
    assert.equal(judgePeer(n2, met, { ...directory, admission: LogIndex(20) }, member(20)).kind, "refused");
  }
});

test("a voter that heard of neither the removal nor the addition believes the membership that the node itself shows (simulator, seed 24)", () => {
  const [old, back] = [shown("a", 7), shown("b", 1, { admission: 20 })];
  const laggard = member(0, 1);
  assert.deepEqual(judgePeer(n2, old, back, laggard), welcome(20, true));
  assert.equal(judgePeer(n2, back, shown("c", 1), laggard).kind, "refused", "and holds it to that, whatever its own log says");
  assert.equal(
    judgePeer(n2, old, shown("b", 1), laggard).kind,
    "refused",
    "before the node knows of its membership, it is wiped",
  );
});

test("who is no member any more is welcome with anything, and nothing of it is remembered", () => {
  for (const directory of [shown("a", 7), shown("a", 1), shown("b", 1), shown("", 0)]) {
    assert.deepEqual(judgePeer(n2, shown("a", 7), directory, stranger(10)), welcome(null, false));
    assert.deepEqual(judgePeer(n2, null, directory, stranger(10)), welcome(null, false));
  }
});

test("who is no member yet, as far as a voter that lags behind knows, is held to what it showed as one", () => {
  const met = shown("b", 1, { admission: 20 });
  assert.deepEqual(judgePeer(n2, null, met, stranger(10)), welcome(20, true));
  assert.equal(judgePeer(n2, met, shown("c", 1), stranger(10)).kind, "refused");
  assert.deepEqual(judgePeer(n2, met, shown("c", 1), stranger(30)), welcome(null, false), "removed since");
  assert.deepEqual(judgePeer(n2, null, shown("a", 1), stranger(0)), welcome(0, true), "an empty log knows of nobody");
});

/** With every member and the entry that made it one; 0: a founder. */
function configured(index: number, members: Readonly<Record<string, number>>): PlacedConfiguration {
  const admissions = Object.entries(members)
    .filter(([, at]) => at > 0)
    .map(([node, at]) => ({ node: NodeId(node), index: LogIndex(at) }));
  return { index: LogIndex(index), configuration: { ...settledConfiguration(Object.keys(members).map(NodeId)), admissions } };
}

const foundersOnly = () => configured(1, { [n2]: 0, [n3]: 0 });

test("what was accepted is durable before it is answered, so that a crash makes nobody forget a wiped peer", async () => {
  const disk = new MemoryDisk();
  const directories = await PeerDirectories.open(disk, foundersOnly);
  await directories.meet(n2, shown("a", 1));
  disk.crash(() => 0.5, 0);
  const again = await PeerDirectories.open(disk, foundersOnly);
  const verdict = await again.meet(n2, shown("b", 1));
  assert.ok(verdict.kind === "refused" && verdict.fault === "wiped");
  assert.equal((await again.meet(n2, shown("a", 2))).kind, "welcome");
});

test("a peer that cannot be remembered is not accepted", async () => {
  const disk = new MemoryDisk();
  const directories = await PeerDirectories.open(disk, foundersOnly);
  disk.inject((operation) => (operation === "sync" ? "EIO" : null));
  await assert.rejects(directories.meet(n2, shown("a", 1)), { code: "IO_FAILED" });
  assert.equal(directories.judge(n2, shown("b", 1)).kind, "welcome");
});

test("a full disk refuses strangers, not a known peer that was restarted: its count of starts is written at the next introduction that finds room", async () => {
  const disk = new MemoryDisk();
  const directories = await PeerDirectories.open(disk, foundersOnly);
  await directories.meet(n2, shown("a", 1));
  disk.inject((operation) => (operation === "write" ? "ENOSPC" : null));
  assert.equal((await directories.meet(n2, shown("a", 2))).kind, "welcome");
  assert.equal((await directories.meet(n2, shown("a", 1))).kind, "refused", "it is remembered in this life");
  await assert.rejects(directories.meet(n3, shown("c", 1)), { code: "IO_FAILED" });
  disk.inject((operation) => (operation === "write" ? "EIO" : null));
  await assert.rejects(directories.meet(n2, shown("a", 3)), { code: "IO_FAILED" }, "a broken disk is no full one");
  disk.inject(null);
  await directories.meet(n3, shown("c", 1));
  const again = await PeerDirectories.open(disk, foundersOnly);
  assert.equal((await again.meet(n2, shown("a", 1))).kind, "refused");
});

test("a membership that was met on a full disk is written at the next introduction that finds room, though nothing of it is news then", async () => {
  const disk = new MemoryDisk();
  let inForce = foundersOnly();
  const directories = await PeerDirectories.open(disk, () => inForce);
  await directories.meet(n2, shown("a", 1));
  inForce = configured(12, { [n2]: 12, [n3]: 0 });
  disk.inject((operation) => (operation === "write" ? "ENOSPC" : null));
  assert.deepEqual(await directories.meet(n2, shown("a", 1)), welcome(12, true));
  assert.deepEqual(await directories.meet(n2, shown("a", 1)), welcome(12, false), "still full");
  assert.equal((await directories.meet(n3, shown("", 0))).kind, "welcome", "of a version without ids nothing is to be written");
  disk.inject(null);
  assert.deepEqual(await directories.meet(n2, shown("a", 1)), welcome(12, false));
  const again = await PeerDirectories.open(disk, () => inForce);
  assert.equal((await again.meet(n2, shown("b", 1))).kind, "refused");
});

test("a removed node may come back empty, and is held to the first directory that it shows after it was added again", async () => {
  const disk = new MemoryDisk();
  let inForce = configured(1, { [n2]: 0, [n3]: 0 });
  let directories = await PeerDirectories.open(disk, () => inForce);
  const isWelcome = async (directory: ShownDirectory): Promise<boolean> =>
    (await directories.meet(n2, directory)).kind === "welcome";
  assert.equal(await isWelcome(shown("a", 1)), true);
  inForce = configured(9, { [n3]: 0 });
  assert.equal(await isWelcome(shown("a", 2)), true, "it runs on for a moment");
  assert.equal(await isWelcome(shown("b", 1)), true, "emptied, it waits");
  inForce = configured(12, { [n2]: 12, [n3]: 0 });
  assert.equal(await isWelcome(shown("b", 1)), true);
  for (const life of ["before", "after"]) {
    assert.equal(await isWelcome(shown("c", 1)), false, `wiped as a member, ${life} a restart of its judge`);
    assert.equal(await isWelcome(shown("a", 3)), false);
    assert.equal(await isWelcome(shown("b", 2, { admission: 12 })), true);
    disk.crash(() => 0.5, 0);
    directories = await PeerDirectories.open(disk, () => inForce);
  }
});

test("what a node says that was added since its introduction does not count: it might be wiped afterwards, and nobody would know (simulator, seed 1026)", async () => {
  let inForce = configured(1, { [n2]: 0, [n3]: 0 });
  const directories = await PeerDirectories.open(new MemoryDisk(), () => inForce);
  const introduced = async (): Promise<LogIndex | null> => {
    const verdict = await directories.meet(n2, shown("a", 1));
    assert.ok(verdict.kind === "welcome");
    return verdict.admission;
  };
  const asFounder = await introduced();
  assert.equal(directories.admits(n2, asFounder), true);
  inForce = configured(9, { [n3]: 0 });
  assert.equal(directories.admits(n2, asFounder), true, "who is no member counts for nothing, and may be heard");
  const asNobody = await introduced();
  inForce = configured(12, { [n2]: 12, [n3]: 0 });
  assert.deepEqual([directories.admits(n2, asFounder), directories.admits(n2, asNobody)], [false, false]);
  assert.equal(directories.admits(n2, await introduced()), true);
  inForce = configured(9, { [n3]: 0 });
  assert.equal(directories.admits(n2, LogIndex(12)), true, "the entry that added it was cut off again");
});

test("a memory of the time before memberships were counted is of founders", async () => {
  const disk = new MemoryDisk();
  const peers = [{ node_id: n2, directory_id: "a", starts: 1, incarnation: 1 }];
  const json = JSON.stringify({ format_version: 1, configuration_index: 1, peers, removed: [] });
  disk.put("peers.cell", Buffer.from(`${crc32(json).toString(16).padStart(8, "0")} ${json}\n`));
  const directories = await PeerDirectories.open(disk, foundersOnly);
  assert.equal(directories.problem, null);
  assert.equal(directories.judge(n2, shown("b", 1)).kind, "refused");
});

test("a damaged memory, at any byte, keeps nobody down and judges nobody wrongly: all are met for the first time", async () => {
  const disk = new MemoryDisk();
  await (await PeerDirectories.open(disk, foundersOnly)).meet(n2, shown("a", 1));
  const good = disk.content("peers.cell").slice();
  for (let at = 0; at < good.length; at++) {
    const bad = good.slice();
    bad[at] = bad[at]! ^ (1 << (at % 8));
    disk.put("peers.cell", bad);
    const directories = await PeerDirectories.open(disk, foundersOnly);
    assert.match(directories.problem ?? "", /peers\.cell is damaged/, `byte ${at}`);
    assert.equal(directories.judge(n2, shown("b", 1)).kind, "welcome");
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
