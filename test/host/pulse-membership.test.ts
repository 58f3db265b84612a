import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import type { PulseSnapshot } from "#ports";
import { Answers } from "../../src/host/pulse/answers.ts";
import { Detectors } from "../../src/host/pulse/detectors.ts";
import { startPulse } from "../../src/host/pulse/index.ts";
import type { MembershipEvent, PulseMembership } from "../../src/host/pulse/messages.ts";
import { Posts } from "../../src/host/pulse/posts.ts";
import { serve } from "../../src/host/pulse/serve.ts";
import { bindUdp } from "../../src/host/udp.ts";
import { membershipSetup } from "../membership/shell/fake-world.ts";

// Through the inside on purpose: these tests are about the thread itself, below the doors.

const local = { host: "127.0.0.1", port: 0 };
const unexpected = (error: Error): never => assert.fail(error);
const healthy: PulseSnapshot = { status: { status: "ok", node_id: "n0" }, election: {}, metrics: "", healthy: true, reasons: [] };

function membershipOn(bind: string): PulseMembership {
  return {
    setup: membershipSetup("n0", { advertise: ["127.0.0.1:8771"] }),
    keyFile: null,
    bind,
    machine: { interfaceMtu: null },
  };
}

test("the pulse thread answers for membership: everyone it sees, whether that has converged, and its metrics", async () => {
  const pulse = await startPulse({
    listen: local,
    nodeId: "n0",
    maxMainStallMs: 30_000,
    membership: membershipOn("127.0.0.1:0"),
    onFailure: unexpected,
  });
  try {
    const get = (path: string) => fetch(`http://127.0.0.1:${pulse.port}${path}`);
    assert.equal((await get("/v1/nodes")).status, 503, "before the first life");
    const early = await get("/health?converged=true");
    assert.deepEqual([early.status, ((await early.json()) as { converged: boolean }).converged], [503, false]);
    const events: MembershipEvent["kind"][] = [];
    pulse.onMembership(({ kind }) => events.push(kind));
    pulse.push(healthy);
    const waited = get("/health?converged=true&timeout=10s");
    pulse.join({ epoch: 7, members: [], wallMs: null });
    assert.equal((await waited).status, 200, "alone, a node has nobody to disagree with");
    const nodes = (await (await get("/v1/nodes")).json()) as { nodes: { node_id: string; incarnation: string }[] };
    assert.deepEqual(
      nodes.nodes.map(({ node_id, incarnation }) => [node_id, incarnation]),
      [["n0", "7.0"]],
    );
    const status = (await (await get("/status")).json()) as { membership: { boot: string; counts: { alive: number } } };
    assert.deepEqual([status.membership.boot, status.membership.counts.alive], ["7", 1]);
    while (pulse.presentMembers() === null) await pause(100);
    assert.equal(pulse.presentMembers(), 1);
    assert.match(await (await get("/metrics")).text(), /^ringrift_membership_members\{state="alive"\} 1$/m);
    for (const time of ["soon", "-1s", "1h"])
      assert.equal((await get(`/health?converged=true&timeout=${time}`)).status, 400, time);
    assert.equal((await get("/health?converged=false")).status, 200);
    await pulse.leave();
    const left = (await (await get("/status")).json()) as { membership: { lifecycle: string } };
    assert.equal(left.membership.lifecycle, "left");
  } finally {
    await pulse.close();
  }
});

test("whoever waits for convergence shares one look every 100 ms with all others who do", async () => {
  let looks = 0;
  const look = (): null => {
    looks += 1;
    return null;
  };
  const page = (): never => assert.fail("nothing to show without a look");
  const answers = new Answers({ nodeId: "n0", maxMainStallMs: 30_000 }, () => performance.now(), {
    look,
    summary: page,
    nodes: page,
    metrics: page,
  });
  const server = createServer();
  const posts = new Posts(
    { hostNames: [], adminKeySha256: null },
    () => {},
    () => Promise.resolve(null),
  );
  serve(server, answers, posts);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  try {
    const { port } = server.address() as AddressInfo;
    const waits = Array.from({ length: 30 }, () => fetch(`http://127.0.0.1:${port}/health?converged=true&timeout=1s`));
    const codes = (await Promise.all(waits)).map(({ status }) => status);
    assert.deepEqual(new Set(codes), new Set([503]));
    // One each at once, then ten a second for all of them; it would be 330.
    assert.ok(looks <= 60, `${looks} looks`);
  } finally {
    server.close();
  }
});

test("a main thread that is late is told to the others; one that is silent too long ends this life, and its return begins another", async () => {
  const events: MembershipEvent["kind"][] = [];
  const detectors = await Detectors.open(membershipOn("127.0.0.1:0"), ({ kind }) => events.push(kind));
  const limits = { degradedAfterMs: 2_000, stalledAfterMs: 30_000 };
  const self = async () => {
    await pause(20);
    return detectors.pages.look()!.swim!.view;
  };
  try {
    detectors.mainSilent(40_000, limits);
    detectors.join({ epoch: 3, members: [], wallMs: null });
    assert.equal((await self()).self.metadata.degraded, false);
    detectors.mainSilent(2_200, limits);
    assert.equal((await self()).self.metadata.degraded, true);
    detectors.mainSilent(0, limits);
    assert.equal((await self()).self.metadata.degraded, false);
    detectors.mainSilent(30_200, limits);
    detectors.mainSilent(30_400, limits);
    assert.equal((await self()).lifecycle, "left");
    assert.ok(!events.includes("life-wanted"));
    detectors.mainSilent(0, limits);
    detectors.mainSilent(0, limits);
    assert.equal(events.filter((kind) => kind === "life-wanted").length, 1);
    detectors.join({ epoch: 4, members: [], wallMs: null });
    const { lifecycle, self: own } = await self();
    assert.deepEqual([lifecycle, own.incarnation.epoch], ["joined", 4]);
  } finally {
    detectors.close();
  }
});

test("a main thread that is silent for longer than the configuration allows ends this life", { timeout: 30_000 }, async () => {
  const membership = membershipOn("127.0.0.1:0");
  const pulse = await startPulse({ listen: local, nodeId: "n0", maxMainStallMs: 1_000, membership, onFailure: unexpected });
  try {
    const wanted = new Promise<void>((resolve) => pulse.onMembership(({ kind }) => kind === "life-wanted" && resolve()));
    pulse.join({ epoch: 7, members: [], wallMs: null });
    while (pulse.presentMembers() === null) await pause(50);
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 3_000);
    await wanted;
  } finally {
    await pulse.close();
  }
});

test("a main thread that stays late counts against this node's own health, once for every two seconds", async () => {
  const detectors = await Detectors.open(membershipOn("127.0.0.1:0"), () => {});
  const limits = { degradedAfterMs: 2_000, stalledAfterMs: 30_000 };
  const multiplier = () => detectors.testimony([])?.healthMultiplier;
  try {
    detectors.join({ epoch: 3, members: [], wallMs: null });
    await pause(20);
    assert.equal(multiplier(), 1);
    const found = [200, 2_000, 2_200, 2_400, 4_000, 4_200, 0, 2_200].map((silentMs) => {
      detectors.mainSilent(silentMs, limits);
      return multiplier();
    });
    assert.deepEqual(found, [1, 1, 2, 2, 2, 3, 3, 4]);
  } finally {
    detectors.close();
  }
});

test("a port of membership that another process holds is named with its setting", async () => {
  const other = await bindUdp("127.0.0.1:0");
  try {
    const started = startPulse({
      listen: local,
      nodeId: "n0",
      maxMainStallMs: 30_000,
      membership: membershipOn(`127.0.0.1:${other.port}`),
      onFailure: unexpected,
    });
    await assert.rejects(started, {
      code: "EADDRINUSE",
      message: new RegExp(
        `^port ${other.port} \\(membership, UDP and TCP\\) on 127\\.0\\.0\\.1 is in use .* set another membership\\.bind$`,
      ),
    });
  } finally {
    other.close();
  }
});

test("a node without membership says so, and its status is as it was", async () => {
  const pulse = await startPulse({ listen: local, nodeId: "n0", maxMainStallMs: 30_000, onFailure: unexpected });
  try {
    pulse.push(healthy);
    const get = (path: string) => fetch(`http://127.0.0.1:${pulse.port}${path}`);
    const nodes = await get("/v1/nodes");
    assert.equal(nodes.status, 404);
    assert.match(await nodes.text(), /no detector runs on this node/);
    assert.ok(!("membership" in ((await (await get("/status")).json()) as object)));
    const health = await get("/health?converged=true");
    assert.match(await health.text(), /joined: no detector runs on this node/);
    assert.equal(pulse.presentMembers(), null);
    await pulse.leave();
  } finally {
    await pulse.close();
  }
});
