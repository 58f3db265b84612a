import assert from "node:assert/strict";
import { test } from "node:test";
import { type WorkSpec } from "#statemachine";
import { defaultWorkSpec, failure, summary, World } from "./world.ts";

const items = (n: number, more: Partial<WorkSpec> = {}): readonly WorkSpec[] =>
  Array.from({ length: n }, () => ({ ...defaultWorkSpec, ...more }));

const submission = (specs: readonly WorkSpec[]) =>
  ({ kind: "submitJob", jobKind: "selfplay", labels: { config: "hex8_2p" }, items: specs, createdBy: "cli" }) as const;

const cancel = (jobId: string) => ({ kind: "cancelJob", jobId: jobId as never, reason: "", by: "ops" }) as const;

test("a job enqueues its items in one entry and is PENDING", () => {
  const world = new World();
  const { job, items: ids } = world.run("job", submission(items(3)));
  const at = world.index;
  assert.equal(job.jobId, `j-${at}`);
  assert.deepEqual(ids, [`w-${at}-0`, `w-${at}-1`, `w-${at}-2`]);
  assert.deepEqual([job.phase, job.counts.PENDING, job.percent, job.version], ["PENDING", 3, 0, 1]);
  assert.equal(world.events.length, 4);
  assert.deepEqual(
    world.machine
      .read()
      .listWork({ jobId: job.jobId, limit: 10 })
      .map(({ workId }) => workId),
    ids,
  );
});

test("phase, counts and percent follow the items", () => {
  const world = new World();
  const client = world.open();
  const { jobId } = world.run("job", submission(items(4))).job;
  const job = () => world.machine.read().job(jobId)!;
  const claimed = client.claimOne();
  assert.deepEqual([job().phase, job().counts.CLAIMED], ["RUNNING", 1]);
  client.run("work", { kind: "progressWork", ...claimed, progress: { percent: 50, step: "", message: "" } });
  assert.equal(job().percent, 12.5);
  client.succeed(claimed);
  assert.deepEqual([job().percent, job().phase], [25, "RUNNING"]);
  for (let n = 0; n < 3; n += 1) client.succeed(client.claimOne());
  assert.deepEqual([job().phase, job().percent, job().counts.SUCCEEDED], ["SUCCEEDED", 100, 4]);
  assert.equal(job().finishedAtMs, world.now);
});

test("one failed item makes the job FAILED, once all are finished", () => {
  const world = new World();
  const client = world.open();
  const { jobId } = world.run("job", submission(items(2))).job;
  client.decide(failure(client.claimOne(), false));
  assert.equal(world.machine.read().job(jobId)?.phase, "RUNNING");
  client.succeed(client.claimOne());
  assert.equal(world.machine.read().job(jobId)?.phase, "FAILED");
});

test("cancelling a job cancels what waits, asks what runs, and ends with it", () => {
  const world = new World();
  const client = world.open();
  const { jobId } = world.run("job", submission(items(3))).job;
  const claimed = client.claimOne();
  const { job } = world.run("job", cancel(jobId));
  assert.deepEqual([job.phase, job.counts.CANCELLED, job.counts.CLAIMED], ["CANCELLING", 2, 1]);
  assert.equal(world.run("job", cancel(jobId)).job, job);
  client.run("work", { kind: "releaseWork", ...claimed, reason: "" });
  assert.equal(world.machine.read().job(jobId)?.phase, "CANCELLED");
  world.refuse("BAD_STATE", { kind: "requeueWork", workId: claimed.workId });
});

test("cancelling a job whose only item is already asked to cancel still shows on the job", () => {
  const world = new World();
  const client = world.open();
  const { jobId } = world.run("job", submission(items(1))).job;
  const { workId } = client.claimOne();
  world.run("work", { kind: "cancelWork", workId, reason: "", by: "" });
  assert.equal(world.run("job", cancel(jobId)).job.phase, "CANCELLING");
});

test("a requeued item takes its finished job back to RUNNING", () => {
  const world = new World();
  const client = world.open();
  const { jobId } = world.run("job", submission(items(2))).job;
  const failed = client.claimOne();
  client.decide(failure(failed, false));
  client.succeed(client.claimOne());
  world.run("work", { kind: "requeueWork", workId: failed.workId });
  const job = world.machine.read().job(jobId)!;
  assert.deepEqual([job.phase, job.finishedAtMs, job.percent], ["RUNNING", null, 50]);
});

test("a job is refused whole: too many items, none, one bad, one duplicate key", () => {
  const world = new World({ maxItemsPerJob: 3, maxQueuedItems: 2 });
  world.refuse("INVALID_ARGUMENT", submission(items(4)), "items");
  world.refuse("INVALID_ARGUMENT", submission([]), "items");
  world.refuse("INVALID_ARGUMENT", submission([...items(1), ...items(1, { queue: "" })]), "items[1].queue");
  world.refuse("ALREADY_EXISTS", submission(items(2, { uniqueKey: "k" })), "items[1].unique_key");
  world.refuse("QUOTA_EXCEEDED", submission(items(3)));
  assert.equal(world.machine.read().counts().work.PENDING, 0);
  assert.deepEqual(world.machine.read().listJobs({ limit: 10 }), []);
});

test("a job is removed with its last item; until then removed items count as done", () => {
  const world = new World();
  const client = world.open(3_600_000);
  const specs = [...items(1, { ttlAfterFinishedMs: 1_000 }), ...items(1, { ttlAfterFinishedMs: 5_000 })];
  const { jobId } = world.run("job", submission(specs)).job;
  client.succeed(client.claimOne());
  client.succeed(client.claimOne());
  world.after(1_000).tick();
  assert.equal(world.machine.read().job(jobId)?.percent, 100);
  assert.deepEqual(summary(world.after(4_000).tick()), [`work w-2-1 removed`, `job ${jobId} removed`]);
});

test("lists page on by id, also behind one that was removed", () => {
  const world = new World();
  for (let n = 0; n < 12; n += 1) world.enqueue();
  const reader = world.machine.read();
  const first = reader.listWork({ limit: 10 });
  const rest = reader.listWork({ limit: 10, after: first.at(-1)!.workId });
  assert.deepEqual(
    [...first, ...rest].map(({ workId }) => workId),
    Array.from({ length: 12 }, (_, n) => `w-${n + 1}`),
  );
});
