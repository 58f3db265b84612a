import assert from "node:assert/strict";
import { test } from "node:test";
import { backoffMs } from "../../src/statemachine/work/endings.ts";
import { failure, success, summary, wallStart, World } from "./world.ts";

test("an item goes PENDING, CLAIMED, RUNNING, SUCCEEDED, and the token is the claim's entry", () => {
  const world = new World();
  const client = world.open();
  const item = world.enqueue({ payload: '{"seed":1}' });
  assert.equal(item.state, "PENDING");
  const claimed = client.claimOne();
  assert.equal(claimed.fencingToken, world.index);
  assert.equal(world.work(item.workId).state, "CLAIMED");
  assert.equal(client.start(claimed).state, "RUNNING");
  const progress = { percent: 40, step: "play", message: "game 4" };
  assert.deepEqual(client.run("work", { kind: "progressWork", ...claimed, progress }).item.progress, progress);
  const done = client.succeed(claimed, '{"games":10}');
  assert.equal(done.state, "SUCCEEDED");
  assert.equal(done.result, '{"games":10}');
  assert.equal(done.attempt, 1);
  assert.equal(done.claim, null);
  assert.deepEqual(
    done.attempts.map(({ attempt, outcome }) => `${attempt} ${outcome}`),
    ["1 succeeded"],
  );
  assert.deepEqual([done.createRevision, done.modRevision, done.version], [item.createRevision, world.index, 5]);
});

test("claims follow priority, then the time of availability, then age", () => {
  const world = new World();
  const client = world.open();
  const kinds = (items: readonly { readonly spec: { readonly kind: string } }[]) => items.map(({ spec }) => spec.kind);
  world.enqueue({ kind: "old" });
  world.enqueue({ kind: "new" });
  world.enqueue({ kind: "low", priority: -1 });
  world.enqueue({ kind: "high", priority: 5, queue: "other" });
  assert.deepEqual(kinds(client.claim(10, ["default", "other"])), ["high", "old", "new", "low"]);
  assert.deepEqual(client.claim(), []);
});

test("a scheduled item is claimable from its wall time on, and the machine says when that is", () => {
  const world = new World();
  const client = world.open();
  world.enqueue({ runAtMs: wallStart + 5_000 });
  assert.deepEqual(client.claim(), []);
  assert.equal(world.machine.nextDeadlines().wallMs, wallStart + 5_000);
  const claimable = (ms: number) => world.machine.read().claimable(client.id, ["default"], (wallStart + ms) as never);
  assert.deepEqual([claimable(4_999), claimable(5_000)], [false, true]);
  world.after(5_000).tick();
  assert.equal(world.machine.nextDeadlines().wallMs, null);
  assert.equal(client.claim().length, 1);
});

test("two items with one unique_key: the second enqueue answers with the first until that is finished", () => {
  const world = new World();
  const client = world.open();
  const first = world.enqueue({ uniqueKey: "eval/7" });
  const again = client.run("work", { kind: "enqueueWork", spec: { ...first.spec, payload: "other" } });
  assert.equal(again.deduplicated, true);
  assert.equal(again.item, world.work(first.workId));
  client.succeed(client.claimOne());
  assert.notEqual(world.enqueue({ uniqueKey: "eval/7" }).workId, first.workId);
});

test("a retryable failure backs off exponentially and ends DEAD with the attempts used up", () => {
  const world = new World();
  const client = world.open(3_600_000);
  const backoff = { initialMs: 1_000, multiplier: 3, maxMs: 2_000, jitter: 0 };
  const { workId } = world.enqueue({ maxAttempts: 3, backoff });
  const delays = [];
  for (let attempt = 1; attempt <= 2; attempt += 1) {
    const failed = client.fail(client.claimOne());
    assert.deepEqual([failed.state, failed.attempt], ["PENDING", attempt]);
    delays.push(failed.availableAtMs - wallStart - world.now);
    assert.deepEqual(client.claim(), []);
    world.after(delays.at(-1)!);
  }
  assert.deepEqual(delays, [1_000, 2_000]);
  client.fail(client.claimOne());
  const dead = world.work(workId);
  assert.deepEqual([dead.state, dead.attempt, dead.lastError?.code], ["DEAD", 3, "E_OOM"]);
});

test("back-off jitter is the same on every voter and stays inside its share", () => {
  const backoff = { initialMs: 1_000, multiplier: 2, maxMs: 60_000, jitter: 0.2 };
  const delays = Array.from({ length: 200 }, (_, n) => backoffMs(backoff, `w-${n}`, 1));
  assert.deepEqual(
    delays,
    Array.from({ length: 200 }, (_, n) => backoffMs(backoff, `w-${n}`, 1)),
  );
  assert.ok(Math.min(...delays) >= 800 && Math.max(...delays) <= 1_000, "within [800, 1000]");
  assert.ok(new Set(delays).size > 50, "spread");
  assert.equal(backoffMs({ ...backoff, jitter: 0 }, "w-1", 1_000), 60_000);
});

test("a non-retryable failure is FAILED at once", () => {
  const world = new World();
  const client = world.open();
  world.enqueue();
  assert.equal(client.fail(client.claimOne(), false).state, "FAILED");
});

test("bullmq#3183: a worker whose lease is lost cannot complete; the item is done once, by the next", () => {
  const world = new World();
  const paused = world.open(15_000);
  const other = world.open(60_000);
  const { workId } = world.enqueue();
  const stale = paused.claimOne();
  world.after(15_000);
  const fresh = other.claimOne();
  assert.ok(fresh.fencingToken > stale.fencingToken, "tokens rise");
  paused.refuse("SESSION_EXPIRED", success(stale));
  other.refuse("FENCED", success(stale));
  other.succeed(fresh);
  const done = world.work(workId);
  assert.deepEqual([done.state, done.attempt, done.lossCount], ["SUCCEEDED", 1, 1]);
  assert.deepEqual(
    done.attempts.map(({ outcome }) => outcome),
    ["lost", "succeeded"],
  );
});

test("a refusal for a stale token never tells the present one", () => {
  const world = new World();
  const client = world.open(3_600_000);
  world.enqueue({ heartbeatTimeoutMs: 1_000 });
  const stale = client.claimOne();
  world.after(1_000);
  const fresh = client.claimOne();
  const message = client.refuse("FENCED", success(stale), "fencing_token");
  assert.ok(!message.includes(String(fresh.fencingToken)), message);
});

test("start, progress, complete and release check the token and the session", () => {
  const world = new World();
  const owner = world.open();
  const thief = world.open();
  world.enqueue();
  const claimed = owner.claimOne();
  const wrong = { ...claimed, fencingToken: (claimed.fencingToken - 1) as typeof claimed.fencingToken };
  const progress = { percent: 1, step: "", message: "" };
  for (const [client, at] of [
    [thief, claimed],
    [owner, wrong],
  ] as const) {
    client.refuse("FENCED", { kind: "startWork", ...at });
    client.refuse("FENCED", { kind: "progressWork", ...at, progress });
    client.refuse("FENCED", { kind: "releaseWork", ...at, reason: "" });
    client.refuse("FENCED", success(at));
  }
  assert.equal(world.work(claimed.workId).state, "CLAIMED");
});

test("completing twice under one token: the second, with a new sequence, is FENCED", () => {
  const world = new World();
  const client = world.open();
  world.enqueue();
  const claimed = client.claimOne();
  client.succeed(claimed);
  client.refuse("FENCED", success(claimed));
});

test("a lost worker is not charged an attempt, keeps its place, and DEAD comes after max_losses", () => {
  const world = new World();
  const { workId, availableAtMs } = world.enqueue({ maxAttempts: 1, maxLosses: 2 });
  for (let loss = 1; loss <= 3; loss += 1) {
    world.open(1_000).claimOne();
    world.after(1_000).tick();
    const { lossCount, attempt, state } = world.work(workId);
    assert.deepEqual([lossCount, attempt, state], [loss, 0, loss === 3 ? "DEAD" : "PENDING"]);
    assert.equal(world.work(workId).availableAtMs, availableAtMs);
  }
});

test("heartbeats hold a claim; silence for heartbeat_timeout_ms loses it", () => {
  const world = new World();
  const client = world.open(3_600_000);
  const { workId } = world.enqueue({ heartbeatTimeoutMs: 1_000 });
  const claimed = client.claimOne();
  client.start(claimed);
  for (let beat = 0; beat < 5; beat += 1) {
    world.after(999);
    client.run("work", { kind: "progressWork", ...claimed, progress: { percent: beat, step: "", message: "" } });
  }
  world.after(999).tick();
  assert.equal(world.work(workId).state, "RUNNING");
  world.after(1).tick();
  assert.deepEqual([world.work(workId).state, world.work(workId).lastError?.code], ["PENDING", "HEARTBEAT_TIMEOUT"]);
});

test("start_to_close counts from Start, charges the attempt and retries with back-off", () => {
  const world = new World();
  const client = world.open(3_600_000);
  const { workId } = world.enqueue({ startToCloseTimeoutMs: 5_000 });
  const claimed = client.claimOne();
  world.after(60_000);
  client.start(claimed);
  world.after(5_000).tick();
  const item = world.work(workId);
  assert.deepEqual([item.state, item.attempt, item.lastError?.cause], ["PENDING", 1, "timeout"]);
  assert.ok(item.availableAtMs > wallStart + world.now, "backs off");
});

for (const { name, more, code } of [
  { name: "deadline_ms ends an item whatever its state", more: { deadlineMs: 3_000 }, code: "DEADLINE_EXCEEDED" },
  {
    name: "schedule_to_start_timeout_ms ends an item that nobody claimed",
    more: { scheduleToStartTimeoutMs: 3_000 },
    code: "SCHEDULE_TO_START_TIMEOUT",
  },
]) {
  test(`${name}: DEAD`, () => {
    const world = new World();
    const { workId } = world.enqueue(more);
    world.after(2_999).tick();
    assert.equal(world.work(workId).state, "PENDING");
    world.after(1).tick();
    assert.deepEqual([world.work(workId).state, world.work(workId).lastError?.code], ["DEAD", code]);
  });
}

test("a released item goes back uncharged", () => {
  const world = new World();
  const client = world.open();
  world.enqueue();
  const released = client.run("work", { kind: "releaseWork", ...client.claimOne(), reason: "drain" }).item;
  assert.deepEqual([released.state, released.attempt, released.lossCount, released.claim], ["PENDING", 0, 0, null]);
  assert.equal(client.claim().length, 1);
});

const cancel = (workId: never) => ({ kind: "cancelWork", workId, reason: "superseded", by: "ops" }) as const;

test("cancelling a PENDING item ends it at once", () => {
  const world = new World();
  const { workId } = world.enqueue();
  assert.equal(world.run("work", cancel(workId as never)).item.state, "CANCELLED");
  world.refuse("BAD_STATE", cancel(workId as never));
  assert.deepEqual(world.open().claim(), []);
});

for (const { how, end } of [
  {
    how: "the worker's word",
    end: (w: World, c: ReturnType<World["open"]>, claimed: ReturnType<ReturnType<World["open"]>["claimOne"]>) => {
      const error = { code: "CANCELLED", message: "", retryable: false, cause: "cancelled" } as const;
      c.run("work", { kind: "completeWork", ...claimed, result: "", error, guards: [] });
      assert.equal(w.work(claimed.workId).attempt, 0);
    },
  },
  {
    how: "its release",
    end: (_: World, c: ReturnType<World["open"]>, claimed: ReturnType<ReturnType<World["open"]>["claimOne"]>) => {
      c.run("work", { kind: "releaseWork", ...claimed, reason: "" });
    },
  },
  {
    how: "a failed attempt",
    end: (_: World, c: ReturnType<World["open"]>, claimed: ReturnType<ReturnType<World["open"]>["claimOne"]>) =>
      void c.fail(claimed),
  },
  { how: "the loss of its session", end: (w: World) => void w.after(20_000).tick() },
  {
    how: "the cancel grace",
    end: (w: World, c: ReturnType<World["open"]>) => void (w.after(9_999), c.renew(), w.after(1).tick()),
  },
]) {
  test(`a claimed item that is asked to cancel ends CANCELLED by ${how}`, () => {
    const world = new World({ cancelGraceMs: 10_000 });
    const client = world.open(20_000);
    const { workId } = world.enqueue();
    const claimed = client.claimOne();
    const asked = world.run("work", cancel(workId as never)).item;
    assert.deepEqual([asked.state, asked.cancelRequested?.by], ["CLAIMED", "ops"]);
    assert.equal(client.start(claimed).cancelRequested?.reason, "superseded");
    end(world, client, claimed);
    assert.equal(world.work(workId).state, "CANCELLED");
  });
}

test("an item that succeeds before it hears of the cancel has succeeded", () => {
  const world = new World();
  const client = world.open();
  const { workId } = world.enqueue();
  const claimed = client.claimOne();
  world.run("work", cancel(workId as never));
  assert.equal(client.succeed(claimed).state, "SUCCEEDED");
});

test("requeue forgives a finished item's attempts and losses, and keeps its history", () => {
  const world = new World();
  const client = world.open();
  const { workId } = world.enqueue({ maxAttempts: 1 });
  world.refuse("BAD_STATE", { kind: "requeueWork", workId });
  const claimed = client.claimOne();
  client.decide(failure(claimed, true));
  const again = world.run("work", { kind: "requeueWork", workId }).item;
  assert.deepEqual([again.state, again.attempt, again.epoch, again.attempts.length], ["PENDING", 0, 1, 1]);
  client.refuse("FENCED", success(claimed));
  client.succeed(client.claimOne());
  world.refuse("BAD_STATE", { kind: "requeueWork", workId });
});

test("requeue is refused while another item has the unique_key", () => {
  const world = new World();
  const { workId } = world.enqueue({ uniqueKey: "k" });
  world.run("work", cancel(workId as never));
  world.enqueue({ uniqueKey: "k" });
  world.refuse("ALREADY_EXISTS", { kind: "requeueWork", workId });
});

test("a finished item is removed ttl_after_finished_ms later", () => {
  const world = new World();
  const client = world.open(3_600_000);
  const { workId } = world.enqueue({ ttlAfterFinishedMs: 60_000 });
  client.succeed(client.claimOne());
  world.after(59_999).tick();
  assert.equal(world.work(workId).state, "SUCCEEDED");
  assert.deepEqual(summary(world.after(1).tick()), [`work ${workId} removed`]);
  assert.equal(world.machine.read().queueCounts().size, 0);
});

test("the newest ten attempts are kept", () => {
  const world = new World();
  const client = world.open(3_600_000);
  const { workId } = world.enqueue({ maxAttempts: 20, backoff: { initialMs: 0, multiplier: 1, maxMs: 0, jitter: 0 } });
  for (let n = 0; n < 12; n += 1) client.fail(client.claimOne());
  assert.deepEqual(
    world.work(workId).attempts.map(({ attempt }) => attempt),
    [3, 4, 5, 6, 7, 8, 9, 10, 11, 12],
  );
});

test("nats#7817: 10,000 items that always fail are 10,000 dead letters", () => {
  const world = new World();
  const client = world.open(3_600_000);
  for (let n = 0; n < 10_000; n += 1) world.enqueue({ maxAttempts: 1 });
  for (let batch = 0; batch < 100; batch += 1) {
    for (const item of client.claim(100)) {
      world.apply({
        sessionId: client.id,
        sequence: null,
        firstUnackedSequence: 0 as never,
        operation: failure({ workId: item.workId, fencingToken: item.claim!.fencingToken }, true),
      });
    }
  }
  assert.equal(world.machine.read().counts().work.DEAD, 10_000);
});

test("a claim among 100,000 items looks at one head per distinct requirement, not at the items", () => {
  const world = new World();
  const client = world.open(3_600_000);
  for (let n = 0; n < 100_000; n += 1) world.enqueue({ priority: n % 7 });
  const before = world.machine.candidatesInspected;
  assert.equal(client.claim(10).length, 10);
  assert.ok(world.machine.candidatesInspected - before <= 10, `${world.machine.candidatesInspected - before} candidates`);
});
