import assert from "node:assert/strict";
import { createServer } from "node:net";
import { once } from "node:events";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { rename } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { ClusterId, ClusterTimeMs, LogIndex, NodeId, type Sequence, Term, WallTimeMs } from "#kernel";
import { completeWorkSpec, encodeCommand } from "#codec";
import { nodeDisk } from "#host";
import { INDEX_GAP, foundCluster, readHistory, stateOf } from "#node";
import type { Disk } from "#ports";
import { type Entry, encodeConfiguration, settledConfiguration } from "#raft";
import { dumpWal, newIdentity, openWal, readIdentity, readLog, verifyWal, writeIdentity } from "#storage";
import { ringraft } from "../e2e/real-cluster.ts";

const clusterId = ClusterId("old");
const nodeId = NodeId("n1");
const voters = [nodeId, NodeId("n2"), NodeId("n3")];

/** A stopped voter's directory: a configuration entry, then `items` work items; term 3, a vote for n2. */
async function voterDirectory(t: TestContext, items = 4): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), "ringraft-tools-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const directory = join(folder, "n1");
  mkdirSync(directory, { mode: 0o700 });
  const disk = nodeDisk(directory);
  await writeIdentity(disk, newIdentity(clusterId, nodeId, "d-1", false));
  const { wal } = await openWal(disk, { clusterId, nodeId, segmentBytes: 65_536 });
  const configuration = entry(1, "configuration", encodeConfiguration(settledConfiguration(voters)));
  const work = Array.from({ length: items }, (_, i) => entry(i + 2, "command", enqueue(`w-${i}`)));
  await wal.append({ entries: [configuration, ...work], hardState: { term: Term(3), votedFor: voters[1]! } });
  await wal.close();
  return directory;
}

function entry(index: number, kind: Entry["kind"], data: Uint8Array): Entry {
  return {
    index: LogIndex(index),
    term: Term(2),
    kind,
    clusterTimeMs: ClusterTimeMs(index),
    wallTimeMs: WallTimeMs(index),
    data,
  };
}

function enqueue(payload: string): Uint8Array {
  const spec = completeWorkSpec({ kind: "selfplay", payload });
  const operation = { kind: "enqueueWork", spec } as const;
  return encodeCommand({ sessionId: null, sequence: null, firstUnackedSequence: 0 as Sequence, operation });
}

const lines = (text: string): Record<string, unknown>[] =>
  text
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as Record<string, unknown>);

test("`wal export` writes one decoded entry a line, and only those that are asked for", async (t) => {
  const directory = await voterDirectory(t);
  const all = lines(ringraft(["wal", "export", directory]).stdout);
  assert.deepEqual(
    all.map(({ index, kind }) => [index, kind]),
    [
      ["1", "configuration"],
      ["2", "command"],
      ["3", "command"],
      ["4", "command"],
      ["5", "command"],
    ],
  );
  const { operation } = all[1]!["command"] as { operation: { kind: string; spec: { payload: string } } };
  assert.deepEqual([operation.kind, operation.spec.payload], ["enqueueWork", "w-0"]);
  const some = lines(ringraft(["wal", "export", directory, "--from", "3", "--to", "4"]).stdout);
  assert.deepEqual(
    some.map(({ index }) => index),
    ["3", "4"],
  );
  const wrong = ringraft(["wal", "export", directory, "--from", "-3"]);
  assert.deepEqual([wrong.status, wrong.stdout], [2, ""]);
});

test("`wal cut` asks first, keeps the old log and every vote, and leaves the voter suspect", async (t) => {
  const directory = await voterDirectory(t);
  const before = readdirSync(join(directory, "wal"));
  const unasked = ringraft(["wal", "cut", directory, "--at", "4"]);
  assert.equal(unasked.status, 2);
  assert.match(unasked.stderr, /WARNING: 2 readable entries from 4 on/);
  assert.deepEqual(readdirSync(join(directory, "wal")), before);

  const cut = ringraft(["wal", "cut", directory, "--at", "4", "--yes", "--json"]);
  assert.equal(cut.status, 0, cut.stderr);
  const { backup } = JSON.parse(cut.stdout) as { backup: string };
  assert.deepEqual(readdirSync(join(directory, backup, "wal")), before);
  const disk = nodeDisk(directory);
  const { entries, hardState, suspect } = await readLog(disk);
  assert.deepEqual(
    entries.map(({ index }) => index),
    [1, 2, 3],
  );
  assert.deepEqual([hardState, suspect], [{ term: 3, votedFor: "n2" }, true]);
  for await (const row of verifyWal(disk)) assert.equal(row.verdict, "ok");
  assert.equal(ringraft(["wal", "cut", directory, "--at", "9", "--yes"]).status, 1);
});

test("`wal cut` saves what stands before a damage that no start accepts", async (t) => {
  const directory = await voterDirectory(t, 40);
  const disk = nodeDisk(directory);
  const offsets: number[] = [];
  let file = "";
  for await (const row of dumpWal(disk)) {
    if (row.type === "entry") offsets.push(row.offset);
    file = join(directory, row.file);
  }
  const bytes = readFileSync(file);
  // The mark of the clean stop stands behind it: no torn tail, but damage.
  bytes[offsets[30]! + 40]! ^= 1;
  writeFileSync(file, bytes);
  const { damage, entries } = await readLog(disk);
  const readable = entries.length;
  assert.ok(damage !== null && readable < 41, `${readable} entries, ${damage?.message ?? "no damage"}`);
  const cut = ringraft(["wal", "cut", directory, "--at", String(readable + 1), "--yes"]);
  assert.equal(cut.status, 0, cut.stderr);
  const after = await readLog(disk);
  assert.deepEqual([after.damage, after.entries.length, after.hardState.term], [null, readable, 3]);
});

test("`recover` goes on with all that the survivor has, under new ids and far higher numbers", async (t) => {
  const directory = await voterDirectory(t);
  const disk = nodeDisk(directory);
  const files = readdirSync(directory);
  const dry = ringraft(["recover", "--force-new-cluster", "--data-dir", directory, "--dry-run", "--json"]);
  assert.equal(dry.status, 0, dry.stderr);
  const known = JSON.parse(dry.stdout) as Record<string, unknown>;
  assert.deepEqual([known["last_index"], known["last_term"], known["old_cluster_id"]], ["5", "2", "old"]);
  assert.deepEqual(readdirSync(directory), files);

  const done = ringraft(["recover", "--force-new-cluster", "--data-dir", directory, "--cluster-id", "new", "--yes"]);
  assert.equal(done.status, 0, done.stderr);
  assert.match(done.stderr, /WARNING: this makes a NEW CLUSTER/);
  const identity = await readIdentity(disk);
  assert.deepEqual([identity?.clusterId, identity?.nodeId, identity?.initialising], ["new", "n1", false]);
  assert.notEqual(identity?.directoryId, "d-1");
  const history = await readHistory(disk);
  assert.equal(history.last?.index, 5 + INDEX_GAP + 1);
  assert.ok(history.log.hardState.term > 3 + 1_000_000);
  assert.deepEqual(history.snapshot?.meta.configuration.voters, ["n1"]);
  const machine = await stateOf(disk, history, { error: () => assert.fail() });
  assert.deepEqual(
    machine
      .read()
      .listWork({ limit: 10 })
      .map(({ spec }) => spec.payload),
    ["w-0", "w-1", "w-2", "w-3"],
  );
  const record = JSON.parse(readFileSync(join(directory, "recovery.json"), "utf8")) as Record<string, unknown>;
  assert.deepEqual(
    [record["kind"], record["cluster_id"], record["first_index"]],
    ["force_new_cluster", "new", String(6 + INDEX_GAP)],
  );
});

test("a recovery that stops after any of its steps leaves the old voter as it was, or a directory that nobody starts", async (t) => {
  const template = await voterDirectory(t);
  for (let steps = 0; ; steps++) {
    const directory = `${template}-${steps}`;
    cpSync(template, directory, { recursive: true });
    const disk = nodeDisk(directory);
    const history = await readHistory(disk);
    const machine = await stateOf(disk, history, { error: () => assert.fail() });
    const from = { machine, last: history.last!, term: Term(3) };
    const founding = {
      clusterId: ClusterId("new"),
      nodeId,
      directoryId: "d-2",
      minIndex: 0,
      record: {},
      backupFolder: "backup-x",
    };
    const done = await foundCluster(failingAfter(disk, steps), from, founding).then(
      () => true,
      () => false,
    );
    const identity = await readIdentity(disk);
    if (done) {
      assert.deepEqual([identity?.clusterId, identity?.initialising], ["new", false]);
      return assert.ok(steps > 20, `only ${steps} steps`);
    }
    if (identity?.initialising === true) await goBack(directory);
    if ((await readIdentity(disk))?.clusterId === "old")
      assert.equal((await readHistory(disk)).last?.index, 5, `after ${steps} steps`);
    else {
      assert.equal((await readHistory(disk)).last?.index, 6 + INDEX_GAP, `after ${steps} steps`);
    }
    rmSync(directory, { recursive: true });
  }
});

/** As docs/operations/recovery.md says. */
async function goBack(directory: string): Promise<void> {
  const { stage } = JSON.parse(readFileSync(join(directory, "recovery.json"), "utf8")) as { stage: string };
  if (stage !== "setting_aside") {
    for (const name of ["wal", "snap", "vote.cell", "peers.cell", "reserve"])
      rmSync(join(directory, name), { recursive: true, force: true });
  }
  const backup = join(directory, "backup-x");
  for (const name of readdirSync(backup)) await rename(join(backup, name), join(directory, name));
}

/** Takes `steps` changes of names, then fails. */
function failingAfter(disk: Disk, steps: number): Disk {
  let left = steps;
  const counted = async <T>(change: () => Promise<T>): Promise<T> => {
    if (left-- <= 0) throw Object.assign(new Error("EIO: injected"), { code: "EIO" });
    return await change();
  };
  return {
    ...disk,
    open: (file, options) => (options.create ? counted(() => disk.open(file, options)) : disk.open(file, options)),
    rename: (from, to) => counted(() => disk.rename(from, to)),
    makeDirectory: (path) => counted(() => disk.makeDirectory(path)),
    syncDirectory: (path) => counted(() => disk.syncDirectory(path)),
  };
}

test("`recover` and `snapshot restore` refuse what is unclear, each with its exit code, and change nothing", async (t) => {
  const directory = await voterDirectory(t);
  const files = readdirSync(directory);
  for (const [args, status, word] of [
    [["recover", "--data-dir", directory, "--yes"], 2, /--force-new-cluster is missing/],
    [["recover", "--force-new-cluster", "--yes"], 2, /--data-dir DIR is missing/],
    [["recover", "--force-new-cluster", "--data-dir", directory], 2, /--yes/],
    [["recover", "--force-new-cluster", "--data-dir", `${directory}/wal`], 2, /has no wal/],
    [["recover", "--force-new-cluster", "--data-dir", directory, "--min-index", "x", "--yes"], 2, /--min-index/],
    [["recover", "--force-new-cluster", "--data-dir", directory, "--cluster-id", "a b", "--yes"], 2, /--cluster-id/],
    [
      ["snapshot", "restore", join(directory, "identity.json"), "--data-dir", `${directory}-2`, "--node-id", "n1"],
      74,
      /snapshot/,
    ],
    [["snapshot", "save", `${directory}.snap`, "--data-dir", directory], 3, /no snapshot yet/],
    [["snapshot", "save", `${directory}.snap`], 2, /--from/],
    [["snapshot", "verify", `${directory}/nothing`], 2, /not a file/],
  ] as const) {
    const ended = ringraft(args);
    assert.equal(ended.status, status, `${args.join(" ")}: ${ended.stderr}`);
    assert.match(ended.stderr, word);
  }
  assert.deepEqual(readdirSync(directory), files);
  assert.ok(!existsSync(`${directory}.snap`));
});

test("a command against a port where nobody listens ends as UNAVAILABLE (5)", async () => {
  const free = createServer().listen(0, "127.0.0.1");
  await once(free, "listening");
  const { port } = free.address() as { readonly port: number };
  await new Promise((done) => free.close(done));
  for (const args of [
    ["member", "list"],
    ["leader", "transfer"],
    ["lock", "list"],
  ]) {
    const ended = ringraft([...args, "-e", `127.0.0.1:${port}`, "--timeout", "1"]);
    assert.deepEqual([ended.status, ended.stdout], [5, ""], ended.stderr);
    assert.match(ended.stderr, /^ringraft: UNAVAILABLE: /);
  }
});

test("bad arguments of the cluster's commands are named, without asking anybody", () => {
  for (const [args, word] of [
    [["member", "add"], /missing argument NODE/],
    [["member", "add", "a b"], /"a b" is not a node id/],
    [["member", "replace", "a"], /missing argument NEW/],
    [["member", "list", "--json", "-o", "table"], /contradict/],
    [["member", "remove", "a", "--timeout", "soon"], /--timeout/],
    [["leader", "transfer", "--too", "a"], /--too/],
  ] as const) {
    const ended = ringraft(args);
    assert.equal(ended.status, 2, args.join(" "));
    assert.match(ended.stderr, word);
  }
});
