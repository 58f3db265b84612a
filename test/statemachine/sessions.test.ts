import assert from "node:assert/strict";
import { test } from "node:test";
import { Sequence } from "#kernel";
import { defaultWorkSpec, command, expectRefusal, expectReply, summary, World } from "./world.ts";

const enqueue = { kind: "enqueueWork", spec: defaultWorkSpec } as const;

test("Raft dissertation §6.3: a repeated sequence gets the very same decision and is not executed again", () => {
  const world = new World();
  const client = world.open();
  const first = client.decide(enqueue, 1);
  const again = client.decide(enqueue, 1);
  assert.equal(again, first);
  assert.deepEqual(world.events, []);
  assert.equal(world.machine.read().counts().work.PENDING, 1);
});

test("§6.3: a refusal is remembered like any other decision", () => {
  const world = new World({ maxQueuedItems: 0 });
  const client = world.open();
  const first = client.decide(enqueue, 1);
  expectRefusal(first, "QUOTA_EXCEEDED");
  assert.equal(client.decide(enqueue, 1), first);
});

test("sequences of one session may arrive in any order, each executed once", () => {
  const world = new World();
  const client = world.open();
  for (const sequence of [3, 1, 2, 3, 2, 1]) client.decide(enqueue, sequence);
  assert.equal(world.machine.read().counts().work.PENDING, 3);
});

test("a sequence below the first unacknowledged one is refused, never executed", () => {
  const world = new World();
  const client = world.open();
  client.decide(enqueue, 1);
  client.decide(enqueue, 5, 5);
  expectRefusal(client.decide(enqueue, 1, 0), "BAD_STATE");
  expectRefusal(client.decide(enqueue, 4, 0), "BAD_STATE");
  assert.equal(world.machine.read().counts().work.PENDING, 2);
  assert.equal(world.machine.read().decided(client.id, Sequence(1)), null);
});

test("acknowledging frees the reply table; a full one refuses until then", () => {
  const world = new World({ maxRepliesPerSession: 2 });
  const client = world.open();
  client.decide(enqueue, 1);
  client.decide(enqueue, 2);
  expectRefusal(client.decide(enqueue, 3), "QUOTA_EXCEEDED");
  expectReply(client.decide(enqueue, 3, 2), "work");
});

test("a leap of the first unacknowledged sequence costs no walk over the gap", () => {
  const world = new World();
  const client = world.open();
  client.decide(enqueue, 1);
  const far = Number.MAX_SAFE_INTEGER;
  expectReply(client.decide(enqueue, far, far), "work");
  assert.equal(world.machine.read().decided(client.id, Sequence(1)), null);
});

test("a first unacknowledged sequence beyond the command's own is an invalid argument", () => {
  const world = new World();
  expectRefusal(world.open().decide(enqueue, 1, 2), "INVALID_ARGUMENT", "first_unacked_sequence");
});

test("§6.3: an expired session's command is refused with SESSION_EXPIRED and never executed, also when it is a repeat", () => {
  const world = new World();
  const client = world.open(15_000);
  client.decide(enqueue, 1);
  world.after(15_000);
  expectRefusal(client.decide(enqueue, 1), "SESSION_EXPIRED");
  expectRefusal(client.decide(enqueue, 2), "SESSION_EXPIRED");
  assert.equal(world.machine.read().counts().work.PENDING, 1);
  assert.deepEqual(client.renew(), [client.id]);
});

test("a session lives until the instant of its deadline and is renewed by the batch, without an event", () => {
  const world = new World();
  const client = world.open(15_000);
  world.after(14_999);
  assert.deepEqual(client.renew(), []);
  assert.deepEqual(world.events, []);
  world.after(14_999);
  assert.deepEqual(world.tick(), []);
  world.after(1);
  assert.deepEqual(summary(world.tick()), [`session ${client.id} removed`]);
});

test("etcd#9395: a leader change never shortens a session and gives a nearly expired one the grace", () => {
  const world = new World();
  const short = world.open(2_000);
  const long = world.open(60_000);
  world.after(5_000);
  assert.deepEqual(world.machine.leaderChanged(world.context(), 10_000), []);
  const { read } = { read: world.machine.read() };
  assert.equal(read.session(short.id)?.deadlineMs, 15_000);
  assert.equal(read.session(long.id)?.deadlineMs, 60_000);
  world.after(10_000);
  world.tick();
  assert.equal(read.session(short.id), null);
  assert.notEqual(read.session(long.id), null);
});

test("etcd's cap: due sessions beyond the cap end with the next entry, but are refused and get nothing already", () => {
  const world = new World({ maxTimersPerEntry: 2 });
  const clients = [1_000, 1_000, 1_000].map((ttl) => world.open(ttl));
  world.after(2_000);
  world.tick();
  assert.equal(world.machine.read().counts().sessions, 1);
  expectRefusal(clients[2]!.decide(enqueue), "SESSION_EXPIRED");
  assert.equal(world.machine.read().counts().sessions, 0);
});

test("closing gives claims back uncharged, aborts uploads and forgets the session", () => {
  const world = new World();
  const client = world.open();
  const { workId } = world.enqueue();
  client.claimOne();
  client.run("version", {
    kind: "registerVersion",
    model: "hex8_2p",
    configKey: "hex8_2p",
    description: "",
    sourceUri: "file:///m",
    format: "json",
    workId: null,
    fencingToken: null,
    parentVersion: 0,
    gitCommit: "",
    tags: {},
    guards: [],
  });
  client.run("none", { kind: "closeSession" });
  assert.equal(world.work(workId).state, "PENDING");
  assert.equal(world.work(workId).lossCount, 0);
  assert.equal(world.work(workId).attempts[0]?.outcome, "released");
  assert.equal(world.machine.read().modelVersion("hex8_2p", 1)?.state, "ABORTED");
  expectRefusal(client.decide(enqueue), "SESSION_EXPIRED");
});

test("a command without a session is executed, one with a sequence but no session is not", () => {
  const world = new World();
  expectReply(world.apply(command(enqueue)).decision, "work");
  const stray = { ...command(enqueue), sequence: Sequence(1) };
  expectRefusal(world.apply(stray).decision, "INVALID_ARGUMENT", "sequence");
});

test("the limit on sessions counts those that live", () => {
  const world = new World({ maxSessions: 1 });
  world.open(1_000);
  const open = {
    kind: "openSession",
    nodeId: "n2" as never,
    incarnation: 1,
    principal: "",
    purpose: "",
    ttlMs: 1_000,
    capabilities: null,
  } as const;
  world.refuse("QUOTA_EXCEEDED", open);
  world.after(1_000);
  world.run("session", open);
});
