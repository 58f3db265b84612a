import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import type { MembershipSetup } from "#membership";
// Through the inside on purpose: a node as none of this version would start.
import { startPulse } from "../../src/host/pulse/index.ts";
import { membershipSetup } from "../membership/shell/fake-world.ts";
import { RealCluster } from "./real-cluster.ts";
import { assertRefused, run } from "./refusals.ts";
import { withMembership } from "./swim-config.ts";

// The incidents of a January's monitoring log that the shell around the protocol has to prevent, in real processes. Those of the
// protocol itself are scenarios (test/membership/scenarios). Times are wide: the machine that tests is shared.

const names = ["voter-1", "voter-2", "voter-3", "worker-1", "worker-2"];
let cluster: RealCluster;
before(async () => {
  cluster = await RealCluster.start({ voters: 3, workers: 2, editConfig: withMembership });
  await allConverged(60);
});
after(() => cluster.stop());

test("I5: a machine without a name does not start: exit 78, and the three places for it are named", async () => {
  const config = ["serve", "--config", cluster.layout.configFile];
  const nameless = await run(config, { RINGRIFT_NODE_ID: "" });
  assertRefused(nameless, 78, /node_id: this node has no name/, /RINGRIFT_NODE_ID.*canonical_node_id.*node_id/);
  const container = await run(config, { RINGRIFT_NODE_ID: "2d9de0d97a72" });
  assertRefused(container, 78, /RINGRIFT_NODE_ID: "2d9de0d97a72" looks like a container id/, /canonical_node_id/);
});

test("I5: who joins under a container id, with the right key, is refused by name and counted, and is nobody's member", async () => {
  const rogue = await strangerAs("2d9de0d97a72", {});
  try {
    await cluster.until("refusals in voter-1's metrics", async () =>
      (await rejected("voter-1", "not-allowed")) > 0 ? true : null,
    );
    assert.match(cluster.log("voter-1"), /"reason":"not-allowed".*"membership packet rejected"/);
    for (const name of names) assert.deepEqual(idsOf(await nodesAt(name)), names, name);
  } finally {
    await rogue.close();
  }
});

test("I16: of another cluster that knows our ports and even our key, no packet is accepted, and each is counted", async () => {
  const before = await tracesAt("voter-1");
  const foreign = await strangerAs("voter-9", { label: "another-cluster" });
  try {
    await cluster.until("refusals in voter-1's metrics", async () => ((await rejected("voter-1", "label")) > 0 ? true : null));
    await pause(2_000);
    for (const name of names) assert.deepEqual(idsOf(await nodesAt(name)), names, name);
    assert.deepEqual(await tracesAt("voter-1"), before, "no member came, went or changed");
  } finally {
    await foreign.close();
  }
});

test("I8: after SIGKILL a node starts at once; a second start beside it ends with 75, and the cluster sees one life", async () => {
  const { layout } = cluster;
  await cluster.signal("worker-2", "SIGKILL");
  const started = performance.now();
  cluster.startNode("worker-2");
  const status = await cluster.until("worker-2's status", () => cluster.status("worker-2"), 30);
  assert.equal(status.node_id, "worker-2");
  // The target is 2 s on a machine of its own.
  assert.ok(performance.now() - started < 20_000);
  await allConverged(60);
  const life = await lifeOf("worker-2");

  const again = await run(["serve", "--config", layout.configFile, "--node-id", "worker-2"]);
  assertRefused(again, 75, /data directory \S+worker-2 is in use by another process/, /Stop the other process/);
  const copy = join(layout.folder, "copy.yaml");
  const text = readFileSync(layout.configFile, "utf8");
  writeFileSync(copy, text.replace(/data_dir: .*worker-2"/, `data_dir: ${JSON.stringify(join(layout.folder, "copied"))}`));
  const copied = await run(["serve", "--config", copy, "--node-id", "worker-2"]);
  assertRefused(copied, 75, /port \d+ .* in use by another process/);

  await pause(2_000);
  for (const name of names) {
    const seen = (await nodesAt(name)).filter(({ node_id }) => node_id === "worker-2");
    assert.deepEqual(
      seen.map(({ state, incarnation }) => [state, epochOf(incarnation)]),
      [["alive", epochOf(life)]],
      name,
    );
  }
});

test("I12: while two running nodes disagree nobody says for long that the cluster has converged; soon after the last start all do", async () => {
  await cluster.signal("worker-1", "SIGKILL");
  await cluster.signal("voter-3", "SIGKILL");
  await pause(3_000);
  cluster.startNode("worker-1");
  cluster.startNode("voter-3");
  let disagreeingSince: number | null = null;
  const clausesSeen = new Set<string>();
  const end = performance.now() + 90_000;
  for (let all = false; !all; await pause(200)) {
    assert.ok(performance.now() < end, `not converged\n${cluster.logs()}`);
    const bodies = (await Promise.all(names.map(convergedAt))).filter((body) => body !== null);
    const digests = new Set((await Promise.all(names.map(digestAt))).filter((digest) => digest !== null));
    disagreeingSince = digests.size <= 1 ? null : (disagreeingSince ?? performance.now());
    const disagreedMs = disagreeingSince === null ? 0 : performance.now() - disagreeingSince;
    for (const { node_id, converged, clauses } of bodies) {
      assert.ok(!converged || disagreedMs < 6_000, `${node_id} says converged, and digests have differed for ${disagreedMs} ms`);
      for (const { name, holds } of clauses) if (!holds) clausesSeen.add(name);
      assert.ok(!converged || clauses.every(({ holds }) => holds));
    }
    all = bodies.length === names.length && bodies.every(({ converged }) => converged) && digests.size === 1;
  }
  assert.ok(clausesSeen.has("joined") || clausesSeen.has("digest_agrees"), `seen broken: ${[...clausesSeen].join()}`);
});

test("I13: a node that was killed and comes back at another port is one member whose address changed once", async () => {
  const { configFile, nodes } = cluster.layout;
  const { http } = nodes.find(({ name }) => name === "worker-1")!.ports;
  const observers = names.filter((name) => name !== "worker-1");
  const before = await Promise.all(observers.map(tracesAt));
  await cluster.signal("worker-1", "SIGKILL");
  const text = readFileSync(configFile, "utf8");
  writeFileSync(configFile, text.replace(`bind: "127.0.0.1:${http + 1}"`, `bind: "127.0.0.1:${http + 5}"`));
  cluster.startNode("worker-1");
  const isThere = async (name: string) =>
    (await nodesAt(name)).some(
      ({ node_id, state, addresses }) =>
        node_id === "worker-1" && state === "alive" && addresses.join() === `127.0.0.1:${http + 5}`,
    );
  await cluster.until(
    "worker-1's new address everywhere",
    async () => ((await Promise.all(observers.map(isThere))).every(Boolean) ? true : null),
    30,
  );
  for (const [at, name] of observers.entries()) {
    const { joined, left, moved } = await tracesAt(name);
    assert.deepEqual({ joined, left, moved }, { ...before[at]!, moved: before[at]!.moved + 1 }, name);
    assert.deepEqual(idsOf(await nodesAt(name)), names, name);
  }
});

test("alive_peers is what the detector sees, on voters and on workers", async () => {
  await allConverged(60);
  for (const name of names) {
    await cluster.until(`5 at ${name}`, async () => ((await cluster.status(name))?.alive_peers === 5 ? true : null), 10);
    assert.match(await metricsAt(name), /^ringrift_p2p_alive_peers 5$/m);
  }
});

interface NodeBody {
  readonly node_id: string;
  readonly state: string;
  readonly incarnation: string;
  readonly addresses: readonly string[];
}

interface ConvergedBody {
  readonly node_id: string;
  readonly converged: boolean;
  readonly clauses: readonly { readonly name: string; readonly holds: boolean }[];
}

/** A pulse of its own with the cluster's key, that goes by what `more` says. */
async function strangerAs(id: string, more: Partial<MembershipSetup>) {
  const key = Buffer.from(readFileSync(join(cluster.layout.folder, "gossip.key"), "utf8"), "base64");
  const seeds = [{ id: null, addresses: [`127.0.0.1:${cluster.httpPort("voter-1") + 1}`] }];
  const bind = `127.0.0.1:${cluster.httpPort("worker-2") + 7}`;
  const setup = membershipSetup("n0", { label: "ringraft", keys: [new Uint8Array(key)], advertise: [bind], seeds, ...more });
  const pulse = await startPulse({
    listen: { host: "127.0.0.1", port: 0 },
    nodeId: id,
    maxMainStallMs: 30_000,
    membership: {
      setup: { ...setup, id: id as MembershipSetup["id"] },
      keyFile: null,
      bind,
      machine: { interfaceMtu: null },
    },
    onFailure: (error) => assert.fail(error),
  });
  pulse.join({ epoch: 1, members: [], wallMs: null });
  return pulse;
}

async function allConverged(seconds: number): Promise<void> {
  await cluster.until(
    "convergence",
    async () => ((await Promise.all(names.map(convergedAt))).every((body) => body?.converged === true) ? true : null),
    seconds,
  );
}

/** Null where nobody answers. */
async function pageOf(name: string, path: string): Promise<string | null> {
  try {
    const answer = await fetch(`http://127.0.0.1:${cluster.httpPort(name)}${path}`, { signal: AbortSignal.timeout(2_000) });
    return await answer.text();
  } catch {
    return null;
  }
}

async function convergedAt(name: string): Promise<ConvergedBody | null> {
  const page = await pageOf(name, "/health?converged=true");
  return page === null ? null : (JSON.parse(page) as ConvergedBody);
}

async function nodesAt(name: string): Promise<readonly NodeBody[]> {
  return (JSON.parse((await pageOf(name, "/v1/nodes"))!) as { readonly nodes: readonly NodeBody[] }).nodes;
}

async function digestAt(name: string): Promise<string | null> {
  const status = await pageOf(name, "/status");
  if (status === null) return null;
  return (JSON.parse(status) as { readonly membership?: { readonly digest?: string } }).membership?.digest ?? null;
}

async function lifeOf(name: string): Promise<string> {
  return (await nodesAt(name)).find(({ node_id }) => node_id === name)!.incarnation;
}

async function metricsAt(name: string): Promise<string> {
  return (await pageOf(name, "/metrics"))!;
}

async function rejected(name: string, reason: string): Promise<number> {
  return sample(await metricsAt(name), `ringrift_swim_rejected_total{reason="${reason}"}`);
}

/** How often members have come, gone and moved, as a node has counted. */
async function tracesAt(name: string): Promise<{ readonly joined: number; readonly left: number; readonly moved: number }> {
  const metrics = await metricsAt(name);
  const event = (kind: string): number => sample(metrics, `ringrift_membership_events_total{event="${kind}"}`);
  return { joined: event("joined"), left: event("left"), moved: event("address-changed") };
}

function sample(metrics: string, series: string): number {
  return Number(
    metrics
      .split("\n")
      .find((line) => line.startsWith(`${series} `))
      ?.slice(series.length + 1) ?? 0,
  );
}

function idsOf(nodes: readonly NodeBody[]): readonly string[] {
  return nodes.map(({ node_id }) => node_id);
}

function epochOf(incarnation: string): string {
  return incarnation.split(".")[0]!;
}
