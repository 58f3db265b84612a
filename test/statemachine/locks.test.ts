import assert from "node:assert/strict";
import { test } from "node:test";
import { restoreStateMachine } from "#statemachine";
import { acquisition, type Client, command, expectRefusal, expectReply, World } from "./world.ts";

const name = "train/hex8_2p";
const hold = (client: Client, more = {}) => {
  const { lock, granted } = client.acquire(name, more);
  assert.ok(granted, "granted");
  return lock.holder!.fencingToken;
};

test("a free lock is held at once, and the token is the entry of the grant", () => {
  const world = new World();
  const client = world.open();
  const token = hold(client);
  assert.equal(token, world.index);
  const { state, holder, lastToken, purpose } = world.lock(name);
  assert.deepEqual([state, holder?.sessionId, lastToken, purpose], ["HELD", client.id, token, "train"]);
});

test("acquiring again what one holds gives the same grant", () => {
  const world = new World();
  const client = world.open();
  const token = hold(client);
  assert.equal(hold(client), token);
  assert.equal(world.lock(name).version, 1);
});

test("waiters are granted first in, first out, each in the entry of the release", () => {
  const world = new World();
  const [a, b, c] = [world.open(), world.open(), world.open()];
  let token = hold(a);
  assert.equal(b.acquire(name).granted, false);
  assert.equal(c.acquire(name).granted, false);
  assert.equal(b.acquire(name).granted, false);
  assert.deepEqual(
    world.lock(name).waiters.map(({ sessionId }) => sessionId),
    [b.id, c.id],
  );
  for (const [from, to] of [
    [a, b],
    [b, c],
  ] as const) {
    from.run("lock", { kind: "releaseLock", name, fencingToken: token });
    assert.equal(world.lock(name).holder?.sessionId, to.id);
    assert.equal(world.lock(name).holder?.fencingToken, world.index);
    token = world.index as never;
  }
  c.run("lock", { kind: "releaseLock", name, fencingToken: token });
  assert.equal(world.lock(name).state, "FREE");
});

test("wait: false is refused while the lock is held, and leaves no waiter behind", () => {
  const world = new World();
  hold(world.open());
  world.open().refuse("BAD_STATE", acquisition(name, { wait: false }));
  assert.deepEqual(world.lock(name).waiters, []);
});

test("release checks token and session", () => {
  const world = new World();
  const [a, b] = [world.open(), world.open()];
  const token = hold(a);
  b.refuse("FENCED", { kind: "releaseLock", name, fencingToken: token });
  a.refuse("FENCED", { kind: "releaseLock", name, fencingToken: (token - 1) as never });
  a.run("lock", { kind: "releaseLock", name, fencingToken: token });
  a.refuse("FENCED", { kind: "releaseLock", name, fencingToken: token });
});

test("Consul's lock delay: after the loss of its holder nobody holds the lock for lock_delay_ms", () => {
  const world = new World();
  const [a, b] = [world.open(10_000), world.open(60_000)];
  const token = hold(a, { lockDelayMs: 5_000 });
  b.acquire(name);
  world.after(10_000).tick();
  assert.deepEqual([world.lock(name).state, world.lock(name).delayUntilMs], ["DELAY", 15_000]);
  b.refuse("FENCED", { kind: "releaseLock", name, fencingToken: token });
  world.after(4_999).tick();
  assert.equal(world.lock(name).holder, null);
  world.after(1).tick();
  assert.equal(world.lock(name).holder?.sessionId, b.id);
  assert.ok(world.lock(name).lastToken > token, "tokens rise");
});

test("closing a session that holds a lock starts the delay too", () => {
  const world = new World();
  const a = world.open();
  hold(a);
  a.run("none", { kind: "closeSession" });
  assert.equal(world.lock(name).state, "DELAY");
  world.open().refuse("BAD_STATE", acquisition(name, { wait: false }));
});

test("etcd#11456: a waiter whose session died while it waited is never granted", () => {
  const world = new World();
  const [a, dead, alive] = [world.open(60_000), world.open(10_000), world.open(60_000)];
  const token = hold(a);
  dead.acquire(name);
  alive.acquire(name);
  world.after(10_000);
  a.run("lock", { kind: "releaseLock", name, fencingToken: token });
  assert.equal(world.lock(name).holder?.sessionId, alive.id);
  assert.deepEqual(world.lock(name).waiters, []);
});

test("all due sessions end before any grant: holder and first waiter expire together, the second waiter is granted", () => {
  const world = new World();
  const [a, b, c] = [world.open(10_000), world.open(10_000), world.open(60_000)];
  hold(a, { lockDelayMs: 0 });
  b.acquire(name);
  c.acquire(name);
  world.after(10_000).tick();
  assert.equal(world.lock(name).holder?.sessionId, c.id);
  assert.equal(world.events.filter(({ key }) => key === name).at(-1)?.object?.kind, "lock");
});

test("the cap on timers never lets a due session be granted", () => {
  const world = new World({ maxTimersPerEntry: 1 });
  const [a, b] = [world.open(10_000), world.open(10_000)];
  hold(a, { lockDelayMs: 0 });
  b.acquire(name);
  world.after(10_000).tick();
  assert.equal(world.lock(name).holder, null);
  world.tick();
  assert.deepEqual([world.lock(name).state, world.lock(name).waiters.length], ["FREE", 0]);
});

test("one grant per lock and entry: a lock granted by a timer and released by the same entry waits for the next", () => {
  const world = new World();
  const [a, b, c] = [world.open(10_000), world.open(60_000), world.open(60_000)];
  hold(a, { lockDelayMs: 0 });
  b.acquire(name);
  c.acquire(name);
  world.after(10_000);
  const foreseen = (world.index + 1) as never;
  b.run("lock", { kind: "releaseLock", name, fencingToken: foreseen });
  assert.deepEqual([world.lock(name).state, world.lock(name).lastToken], ["FREE", foreseen]);
  assert.equal(world.machine.nextDeadlines().clusterMs, world.now);
  const saved = restoreStateMachine(world.machine.snapshot());
  assert.equal(saved.nextDeadlines().clusterMs, world.now);
  world.tick();
  assert.equal(world.lock(name).holder?.sessionId, c.id);
  assert.ok(world.lock(name).lastToken > foreseen, "a new token");
});

test("a waiter leaves after wait_timeout_ms", () => {
  const world = new World();
  const [a, b] = [world.open(60_000), world.open(60_000)];
  const token = hold(a);
  b.acquire(name, { waitTimeoutMs: 3_000 });
  world.after(2_999).tick();
  assert.equal(world.lock(name).waiters.length, 1);
  world.after(1).tick();
  assert.equal(world.lock(name).waiters.length, 0);
  a.run("lock", { kind: "releaseLock", name, fencingToken: token });
  assert.equal(world.lock(name).state, "FREE");
});

test("cancelling a wait leaves the line; too late, it says that the lock is held", () => {
  const world = new World();
  const [a, b] = [world.open(), world.open()];
  const token = hold(a);
  b.acquire(name);
  assert.equal(b.run("lock", { kind: "cancelAcquire", name }).granted, false);
  assert.equal(world.lock(name).waiters.length, 0);
  b.acquire(name);
  a.run("lock", { kind: "releaseLock", name, fencingToken: token });
  assert.equal(b.run("lock", { kind: "cancelAcquire", name }).granted, true);
});

test("an operator's force-release fences the holder and starts the delay", () => {
  const world = new World();
  const a = world.open();
  const token = hold(a, { lockDelayMs: 1_000 });
  const force = { kind: "forceReleaseLock", name, reason: "stuck", by: "ops" } as const;
  assert.equal(world.run("lock", force).lock.state, "DELAY");
  a.refuse("FENCED", { kind: "releaseLock", name, fencingToken: token });
  world.refuse("BAD_STATE", force);
  world.after(1_000).tick();
  assert.equal(world.lock(name).state, "FREE");
});

test("the last token never falls, also over a snapshot", () => {
  const world = new World();
  const a = world.open();
  const token = hold(a);
  a.run("lock", { kind: "releaseLock", name, fencingToken: token });
  const restored = restoreStateMachine(world.machine.snapshot());
  assert.equal(restored.read().lock(name)?.lastToken, token);
  const again = restored.apply(
    { ...command(acquisition(name)), sessionId: a.id, sequence: 9 as never, firstUnackedSequence: 9 as never },
    world.context(),
  );
  assert.ok(expectReply(again.decision, "lock").lock.lastToken > token, "tokens rise");
});

test("a guard holds only while its lock is held under its token", () => {
  const world = new World();
  const a = world.open();
  const token = hold(a, { lockDelayMs: 0 });
  world.enqueue();
  const claimed = a.claimOne();
  const guarded = (fencingToken: number) =>
    a.decide({
      kind: "completeWork",
      ...claimed,
      result: "",
      error: null,
      guards: [{ lock: name, fencingToken: fencingToken as never }],
    });
  expectRefusal(guarded(token - 1), "FENCED", "guards");
  assert.equal(world.work(claimed.workId).state, "CLAIMED");
  expectReply(guarded(token), "work");
});

test("the line is limited", () => {
  const world = new World({ maxWaitersPerLock: 1 });
  hold(world.open());
  world.open().acquire(name);
  world.open().refuse("QUOTA_EXCEEDED", acquisition(name));
});
