import assert from "node:assert/strict";
import { test } from "node:test";
import { defaultLimits, type Operation, type Requirements, type WorkSpec } from "#statemachine";
import { defaultWorkSpec, acquisition, World } from "./world.ts";

const enqueue = (more: Partial<WorkSpec>): Operation => ({ kind: "enqueueWork", spec: { ...defaultWorkSpec, ...more } });
const needs = (more: Partial<Requirements>): Operation => {
  const none = { gpuCount: 0, gpuMemoryMib: 0, cpu: 0, memoryMib: 0, diskMib: 0, gpuModels: [], cudaMin: 0, labels: [] };
  return enqueue({ requires: { ...none, ...more } });
};
const { backoff } = defaultWorkSpec;
const claim = (more: object): Operation =>
  ({ kind: "claimWork", workerId: "w", queues: ["default"], maxItems: 1, ...more }) as Operation;

const refusedFields: readonly (readonly [string, Operation])[] = [
  ["spec.queue", enqueue({ queue: "" })],
  ["spec.queue", enqueue({ queue: "q".repeat(257) })],
  ["spec.kind", enqueue({ kind: "k".repeat(257) })],
  ["spec.payload", enqueue({ payload: "p".repeat(65_537) })],
  ["spec.payload", enqueue({ payload: "€".repeat(21_846) })],
  ["spec.payload_uri", enqueue({ payloadUri: "u".repeat(4_097) })],
  ["spec.unique_key", enqueue({ uniqueKey: "u".repeat(257) })],
  ["spec.created_by", enqueue({ createdBy: "u".repeat(257) })],
  ["spec.priority", enqueue({ priority: 0.5 })],
  ["spec.priority", enqueue({ priority: 2_147_483_648 })],
  ["spec.run_at_ms", enqueue({ runAtMs: -1 })],
  ["spec.deadline_ms", enqueue({ deadlineMs: Number.NaN })],
  ["spec.schedule_to_start_timeout_ms", enqueue({ scheduleToStartTimeoutMs: 1e15 })],
  ["spec.start_to_close_timeout_ms", enqueue({ startToCloseTimeoutMs: -1 })],
  ["spec.heartbeat_timeout_ms", enqueue({ heartbeatTimeoutMs: Number.POSITIVE_INFINITY })],
  ["spec.ttl_after_finished_ms", enqueue({ ttlAfterFinishedMs: 0.1 })],
  ["spec.max_attempts", enqueue({ maxAttempts: 0 })],
  ["spec.max_losses", enqueue({ maxLosses: -1 })],
  ["spec.backoff.initial_ms", enqueue({ backoff: { ...backoff, initialMs: -1 } })],
  ["spec.backoff.multiplier", enqueue({ backoff: { ...backoff, multiplier: Number.NaN } })],
  ["spec.backoff.max_ms", enqueue({ backoff: { ...backoff, maxMs: 1e300 } })],
  ["spec.backoff.jitter", enqueue({ backoff: { ...backoff, jitter: 1.1 } })],
  ["spec.job_id", enqueue({ jobId: "j-1" as never })],
  ["spec.requires.resources.gpu_count", needs({ gpuCount: -1 })],
  ["spec.requires.resources.disk_mib", needs({ diskMib: 0.5 })],
  ["spec.requires.cuda_min", needs({ cudaMin: Number.NaN })],
  ["spec.requires.gpu_model", needs({ gpuModels: [""] })],
  ["spec.requires.labels[0].key", needs({ labels: [{ key: "", operator: "exists", values: [] }] })],
  ["spec.requires.labels[0].values", needs({ labels: [{ key: "a", operator: "in", values: [] }] })],
  ["spec.requires.labels[0].values", needs({ labels: [{ key: "a", operator: "exists", values: ["b"] }] })],
  ["spec.requires.labels[0].values", needs({ labels: [{ key: "a", operator: "gt", values: ["many"] }] })],
  ["spec.requires.labels[0].operator", needs({ labels: [{ key: "a", operator: "like" as never, values: [] }] })],
  ["worker_id", claim({ workerId: "" })],
  ["queues", claim({ queues: [] })],
  ["queues", claim({ queues: [""] })],
  ["max_items", claim({ maxItems: 0 })],
  ["max_items", claim({ maxItems: 101 })],
  ["name", acquisition("")],
  ["wait_timeout_ms", acquisition("l", { waitTimeoutMs: -1 })],
  ["lock_delay_ms", acquisition("l", { lockDelayMs: 60_001 })],
];

for (const [field, operation] of refusedFields) {
  test(`${operation.kind} with a bad ${field} is an INVALID_ARGUMENT that names it and changes nothing`, () => {
    const world = new World();
    const client = world.open();
    client.refuse("INVALID_ARGUMENT", operation, field);
    assert.deepEqual(world.events, []);
  });
}

test("payloads are measured in bytes of UTF-8: exactly 65,536 fit", () => {
  const world = new World();
  world.enqueue({ payload: "€".repeat(21_845) });
  world.enqueue({ payload: "😀".repeat(16_384) });
  world.refuse("INVALID_ARGUMENT", enqueue({ payload: `${"😀".repeat(16_384)}a` }), "spec.payload");
});

test("operations on objects that are not there are NOT_FOUND", () => {
  const world = new World();
  const client = world.open();
  const claimed = { workId: "w-99" as never, fencingToken: 1 as never };
  for (const operation of [
    { kind: "startWork", ...claimed },
    { kind: "cancelWork", workId: claimed.workId, reason: "", by: "" },
    { kind: "requeueWork", workId: claimed.workId },
    { kind: "cancelJob", jobId: "j-9" as never, reason: "", by: "" },
    { kind: "releaseLock", name: "l", fencingToken: 1 as never },
    { kind: "cancelAcquire", name: "l" },
    { kind: "forceReleaseLock", name: "l", reason: "", by: "" },
  ] as const satisfies readonly Operation[]) {
    client.refuse("NOT_FOUND", operation);
  }
});

test("operations that need a session name it as the missing field", () => {
  const world = new World();
  world.refuse("INVALID_ARGUMENT", claim({}), "session_id");
  world.refuse("INVALID_ARGUMENT", acquisition("l"), "session_id");
  world.refuse("INVALID_ARGUMENT", { kind: "closeSession" }, "session_id");
});

test("the quota on items counts those that are not finished", () => {
  const world = new World({ maxQueuedItems: 1 });
  const client = world.open();
  world.enqueue();
  world.refuse("QUOTA_EXCEEDED", enqueue({}));
  client.succeed(client.claimOne());
  world.enqueue();
});

test("the default limits are those that the protocol documents", () => {
  assert.deepEqual([defaultLimits.maxPayloadBytes, defaultLimits.minTtlMs, defaultLimits.maxTtlMs], [65_536, 1_000, 3_600_000]);
});
