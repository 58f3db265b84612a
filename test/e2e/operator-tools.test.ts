import assert from "node:assert/strict";
import { readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { SNAPSHOT_DIRECTORY } from "#storage";
import { RealCluster, ringraft } from "./real-cluster.ts";

interface MembershipJson {
  readonly members: readonly { readonly node_id: string; readonly voter: boolean; readonly leader: boolean }[];
}

/** The cluster's tools, asked at all of its voters. */
function toolsOf(cluster: RealCluster) {
  const env = { RINGRIFT_ENDPOINTS: cluster.layout.endpoints.join(",") };
  const run = (...args: readonly string[]) => {
    const ended = ringraft(args, env);
    assert.equal(ended.status, 0, `${args.join(" ")}: ${ended.stderr}`);
    return ended.stdout;
  };
  const voters = (): readonly string[] =>
    (JSON.parse(run("member", "list", "--json")) as MembershipJson).members
      .filter((member) => member.voter)
      .map((member) => member.node_id)
      .toSorted();
  return { env, run, voters };
}

const directoryOf = (cluster: RealCluster, node: string): string => join(cluster.layout.folder, node);

test(
  "an operator moves the leadership, takes a voter out and takes it in again with an empty directory",
  { timeout: 120_000 },
  async (t) => {
    const cluster = await RealCluster.start({ voters: 3, workers: 0 });
    t.after(() => cluster.stop());
    const { run, voters, env } = toolsOf(cluster);
    assert.deepEqual(voters(), ["voter-1", "voter-2", "voter-3"]);

    const before = await cluster.leader();
    const { leader_id } = JSON.parse(run("leader", "transfer", "--json")) as { leader_id: string };
    assert.notEqual(leader_id, before);
    assert.equal(await cluster.leader(before), leader_id);
    run("leader", "transfer", "--to", "voter-1");
    // The status page is up to a quarter of a second old.
    await cluster.until("voter-1's lead", async () => ((await cluster.leader()) === "voter-1" ? true : null));

    assert.match(run("member", "remove", "voter-3"), /^voters {4}voter-1, voter-2$/m);
    assert.deepEqual(voters(), ["voter-1", "voter-2"]);
    const again = ringraft(["member", "remove", "voter-3"], env);
    assert.deepEqual([again.status, again.stdout], [3, ""], again.stderr);
    await cluster.signal("voter-3", "SIGTERM");
    rmSync(directoryOf(cluster, "voter-3"), { recursive: true });
    cluster.startNode("voter-3");
    run("member", "add", "voter-3", "--timeout", "60");
    assert.deepEqual(voters(), ["voter-1", "voter-2", "voter-3"]);
  },
);

test("GET /election/status and both triggers answer on every voter, and the lead moves", { timeout: 90_000 }, async (t) => {
  const cluster = await RealCluster.start({ voters: 3, workers: 1 });
  t.after(() => cluster.stop());
  const first = await cluster.leader();
  const url = (node: string, path: string): string => `http://127.0.0.1:${cluster.httpPort(node)}${path}`;
  const follower = cluster.layout.nodes.find(({ name, role }) => role === "voter" && name !== first)!.name;
  await cluster.until("the follower's word", async () => {
    const status = (await (await fetch(url(follower, "/election/status"))).json()) as Record<string, unknown>;
    return status["leader_id"] === first ? status : null;
  });
  const page = await fetch(url(follower, "/election/trigger"), { method: "POST", headers: { Origin: "http://evil.example" } });
  assert.equal(page.status, 403);

  const moved = await fetch(url(follower, "/admin/trigger-election"), { method: "POST" });
  const body = (await moved.json()) as { action: string; previous_leader_id: string; leader_id: string };
  assert.deepEqual([moved.status, body.action, body.previous_leader_id], [200, "transfer", first], JSON.stringify(body));
  assert.equal(await cluster.leader(first), body.leader_id);

  const back = await fetch(url("worker-1", "/election/trigger"), { method: "POST", body: JSON.stringify({ to: first }) });
  assert.deepEqual([back.status, ((await back.json()) as { leader_id: string }).leader_id], [200, first]);
});

test(
  "after the loss of two voters of three, the survivor goes on as a new cluster and the others join it",
  { timeout: 150_000 },
  async (t) => {
    const cluster = await RealCluster.start({ voters: 3, workers: 0 });
    t.after(() => cluster.stop());
    const { run, voters, env } = toolsOf(cluster);
    const client = cluster.client();
    const lost = await client.openSession({ ttlMs: 60_000 });
    const held = await lost.locks.acquire("train/hex8_2p");
    await client.work.enqueue({ kind: "selfplay", payload: "kept" });
    await cluster.until("the survivor's log", async () => {
      const [one, two] = [await cluster.status("voter-1"), await cluster.status(await cluster.leader())];
      return one !== null && two !== null && one.commit_index === two.commit_index ? true : null;
    });
    await cluster.killAll();
    for (const node of ["voter-2", "voter-3"]) rmSync(directoryOf(cluster, node), { recursive: true });
    const directory = directoryOf(cluster, "voter-1");

    cluster.startNode("voter-1");
    await cluster.until("the start", () => cluster.status("voter-1"));
    const refused = ringraft(["recover", "--force-new-cluster", "--data-dir", directory, "--yes"]);
    assert.equal(refused.status, 75, refused.stderr);
    await cluster.signal("voter-1", "SIGKILL");

    const files = readdirSync(directory).toSorted();
    const known = JSON.parse(run("recover", "--force-new-cluster", "--data-dir", directory, "--dry-run", "--json")) as {
      last_index: string;
      old_cluster_id: string;
    };
    assert.deepEqual(readdirSync(directory).toSorted(), files);
    const unsure = ringraft(["recover", "--force-new-cluster", "--data-dir", directory]);
    assert.deepEqual([unsure.status, readdirSync(directory).toSorted()], [2, files]);

    const founded = JSON.parse(run("recover", "--force-new-cluster", "--data-dir", directory, "--yes", "--json")) as {
      cluster_id: string;
      first_index: string;
      backup: string;
    };
    assert.notEqual(founded.cluster_id, known.old_cluster_id);
    assert.ok(Number(founded.first_index) > Number(known.last_index) + 2 ** 40);
    assert.ok(readdirSync(join(directory, founded.backup)).includes("wal"));
    const record = JSON.parse(readFileSync(join(directory, "recovery.json"), "utf8")) as { kind: string; cluster_id: string };
    assert.deepEqual([record.kind, record.cluster_id], ["force_new_cluster", founded.cluster_id]);

    cluster.startNode("voter-1");
    await cluster.leader();
    assert.deepEqual(voters(), ["voter-1"]);
    for (const node of ["voter-2", "voter-3"]) {
      cluster.startNode(node);
      run("member", "add", node, "--timeout", "60");
    }
    assert.deepEqual(voters(), ["voter-1", "voter-2", "voter-3"]);

    const fresh = cluster.client();
    assert.deepEqual(
      (await fresh.work.list()).items.map(({ spec }) => spec.payload),
      ["kept"],
    );
    assert.equal((await fresh.locks.get("train/hex8_2p")).holder?.fencingToken, held.fencingToken);
    await fresh.locks.forceRelease("train/hex8_2p", "the old cluster is gone");
    const next = await (await fresh.openSession()).locks.acquire("train/hex8_2p");
    assert.ok(next.fencingToken > held.fencingToken + 2 ** 40);
    assert.equal(ringraft(["member", "list"], env).status, 0);
  },
);

test(
  "a snapshot that was saved becomes a new cluster whose tokens lie above all of the old one's",
  { timeout: 120_000 },
  async (t) => {
    const cluster = await RealCluster.start({
      voters: 1,
      workers: 0,
      editConfig: (text) => `${text}raft:\n  snapshot_every: 100\n  keep_entries: 10\n`,
    });
    t.after(() => cluster.stop());
    const { run } = toolsOf(cluster);
    const client = cluster.client();
    for (let i = 0; i < 150; i++) await client.work.enqueue({ kind: "selfplay", uniqueKey: `w-${i}` });
    const directory = directoryOf(cluster, "voter-1");
    const file = join(cluster.layout.folder, "saved.snap");
    const saved = (): readonly string[] =>
      readdirSync(join(directory, SNAPSHOT_DIRECTORY)).filter((name) => name.endsWith(".snap"));
    await cluster.until("a snapshot", () => Promise.resolve(saved().length > 0 ? true : null));
    run("snapshot", "save", file, "--data-dir", directory);
    assert.equal(ringraft(["snapshot", "save", file, "--data-dir", directory]).status, 4);
    const online = join(cluster.layout.folder, "online.snap");
    run("snapshot", "save", online, "--from", cluster.layout.endpoints[0]!);
    const [checked] = JSON.parse(run("snapshot", "verify", file, "--json")) as { ok: boolean; index: string }[];
    assert.equal(checked?.ok, true);
    const last = (await client.work.enqueue({ kind: "selfplay", uniqueKey: "after" })).item.modRevision;
    await cluster.signal("voter-1", "SIGKILL");

    const full = ringraft(["snapshot", "restore", file, "--data-dir", directory, "--node-id", "voter-1"]);
    assert.equal(full.status, 78, full.stderr);
    rmSync(directory, { recursive: true });
    const bytes = readFileSync(file);
    bytes[2_000]! ^= 1;
    const damaged = join(cluster.layout.folder, "damaged.snap");
    writeFileSync(damaged, bytes);
    assert.equal(ringraft(["snapshot", "verify", damaged]).status, 74);
    assert.equal(ringraft(["snapshot", "restore", damaged, "--data-dir", directory, "--node-id", "voter-1"]).status, 74);
    run("snapshot", "restore", file, "--data-dir", directory, "--node-id", "voter-1");

    cluster.startNode("voter-1");
    await cluster.leader();
    const fresh = cluster.client();
    const { items } = await fresh.work.list({ limit: 1_000 });
    assert.ok(items.length >= 90 && items.length <= 150, `${items.length} items`);
    const { item } = await fresh.work.enqueue({ kind: "selfplay", uniqueKey: "new" });
    assert.ok(item.modRevision > last + 2 ** 39);
  },
);

test("a voter whose log was cut starts as a suspect, and is caught up by the leader", { timeout: 90_000 }, async (t) => {
  const cluster = await RealCluster.start({ voters: 3, workers: 0 });
  t.after(() => cluster.stop());
  const { run } = toolsOf(cluster);
  const client = cluster.client();
  for (let i = 0; i < 20; i++) await client.work.enqueue({ kind: "selfplay" });
  const leader = await cluster.leader();
  const victim = cluster.layout.nodes.find(({ name }) => name !== leader)!.name;
  await cluster.signal(victim, "SIGTERM");
  const directory = directoryOf(cluster, victim);
  const last = JSON.parse(run("wal", "export", directory).trimEnd().split("\n").at(-1)!) as { index: string };
  run("wal", "cut", directory, "--at", String(Number(last.index) - 5), "--yes");
  cluster.startNode(victim);
  await cluster.until("the voter's catching up", async () => {
    const status = await cluster.status(victim);
    return status !== null && Number(status.applied_index) >= Number(last.index) && status.status === "ok" ? true : null;
  });
  assert.match(cluster.log(victim), /this voter is suspect/);
});
