import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { connect as connectSocket } from "node:net";
import { after, before, describe, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { Client as GrpcClient, type ServiceError, credentials } from "@grpc/grpc-js";
import { ClientError } from "#client";
import { type FencingToken, WorkId } from "#kernel";
import { emptyCapabilities } from "#statemachine";
import { EnqueueRequest } from "#gen/ringraft/v1/work.js";
import { encodeMessage } from "#codec";
import { RealCluster } from "./real-cluster.ts";
import { run } from "./refusals.ts";

describe("a voter under bad requests", { timeout: 90_000 }, () => {
  let cluster: RealCluster;
  before(async () => {
    cluster = await RealCluster.start({ voters: 1, workers: 0 });
  });
  after(() => cluster.stop());

  /** Everything that a client can list, and that this process is still the one that started. */
  const everything = async () => {
    const client = cluster.client();
    const [work, jobs, models, locks] = await Promise.all([
      client.work.list(),
      client.jobs.list(),
      client.models.list(),
      client.locks.list(),
    ]);
    assert.equal(cluster.exitCode("voter-1"), null);
    return { work, jobs, models, locks };
  };
  const refusedWith = async (attempt: Promise<unknown>, code: string, message: RegExp) => {
    const failure: unknown = await attempt.then(
      () => null,
      (error: unknown) => error,
    );
    assert.ok(failure instanceof ClientError, `refused with ${message}, not ${String(failure)}`);
    assert.equal(failure.code, code, failure.message);
    assert.match(failure.message, message);
  };

  test("refuses stale and foreign fencing tokens in every call that takes one, and the holder goes on", async () => {
    const client = cluster.client();
    const capabilities = { ...emptyCapabilities, cpu: 1 };
    const [holder, other] = [await client.openSession({ capabilities }), await client.openSession({ capabilities })];
    const { item } = await client.work.enqueue({ kind: "test.token" });
    const [claimed] = await holder.work.claim({ workerId: "w", queues: ["default"] });
    assert.equal(claimed!.workId, item.workId);
    const token = claimed!.claim!.fencingToken;
    const stale = (token - 1) as FencingToken;
    const lock = await holder.locks.acquire("training/x");
    const before = await everything();
    for (const [session, used] of [
      [holder, stale],
      [other, stale],
    ] as const) {
      await refusedWith(session.work.start(item.workId, used), "FENCED", /\d/);
      await refusedWith(session.work.progress(item.workId, used, { percent: 1, step: "", message: "" }), "FENCED", /\d/);
      await refusedWith(session.work.complete(item.workId, used, { result: "{}" }), "FENCED", /\d/);
      await refusedWith(session.work.release(item.workId, used, "no"), "FENCED", /\d/);
      await refusedWith(session.locks.release("training/x", (lock.fencingToken - 1) as FencingToken), "FENCED", /\d/);
    }
    await refusedWith(client.locks.check("training/x", stale), "FENCED", /\d/);
    await refusedWith(client.work.get(WorkId("w-999")), "NOT_FOUND", /w-999/);
    assert.deepEqual(await everything(), before);
    await holder.work.start(item.workId, token);
    assert.equal((await holder.work.complete(item.workId, token, { result: "{}" })).state, "SUCCEEDED");
    await lock.release();
    await Promise.all([holder.close(), other.close()]);
  });

  test("refuses a closed session, names and payloads over their limits, and times to live that are none", async () => {
    const client = cluster.client();
    const gone = await client.openSession();
    await gone.close();
    const before = await everything();
    await refusedWith(gone.work.enqueue({ kind: "x" }), "SESSION_EXPIRED", /session/);
    await refusedWith(client.work.enqueue({ kind: "x", payload: "x".repeat(65_537) }), "INVALID_ARGUMENT", /payload.*65,?536/);
    await refusedWith(client.work.enqueue({ kind: "k".repeat(257) }), "INVALID_ARGUMENT", /kind.*256/);
    await refusedWith(client.openSession({ ttlMs: 1 }), "INVALID_ARGUMENT", /ttl/);
    await refusedWith(client.openSession({ ttlMs: 10 ** 12 }), "INVALID_ARGUMENT", /ttl/);
    await refusedWith(client.openSession({ ttlMs: -5 }), "INVALID_ARGUMENT", /openSession: cannot encode -5/);
    await refusedWith(client.work.list({ limit: -1 }), "INVALID_ARGUMENT", /-1/);
    assert.deepEqual(await everything(), before);
  });

  test("answers unary calls that it does not know, cannot read or will not hold with gRPC's own codes", async () => {
    const raw = new GrpcClient(cluster.layout.endpoints[0]!, credentials.createInsecure(), {
      "grpc.max_send_message_length": -1,
    });
    const call = (path: string, bytes: Buffer): Promise<ServiceError | null> =>
      new Promise((done) => {
        const options = { deadline: Date.now() + 5_000 };
        raw.makeUnaryRequest(
          path,
          (b: Buffer) => b,
          (b) => b,
          bytes,
          options,
          (error) => done(error),
        );
      });
    const before = await everything();
    try {
      assert.equal((await call("/ringraft.v1.WorkService/Explode", Buffer.alloc(0)))?.code, 12);
      assert.equal((await call("/ringraft.v9.Nothing/AtAll", Buffer.alloc(0)))?.code, 12);
      assert.equal((await call("/ringraft.v1.WorkService/Enqueue", Buffer.alloc(4 * 1024 * 1024 + 1)))?.code, 8);
      assert.equal((await call("/ringraft.v1.WorkService/Enqueue", Buffer.from([0x0a, 0xff, 0xff, 0xff])))?.code, 3);
      const empty = Buffer.from(encodeMessage(EnqueueRequest, EnqueueRequest.create()));
      const refused = await call("/ringraft.v1.WorkService/Enqueue", empty);
      assert.equal(refused?.code, 3);
      assert.match(refused.details, /^INVALID_ARGUMENT: /);
    } finally {
      raw.close();
    }
    assert.deepEqual(await everything(), before);
  });

  test("outlives garbage, plain HTTP and 16 MB of noise on each of its three ports", async () => {
    const [voter] = cluster.layout.nodes;
    const before = await everything();
    const noise = [
      randomBytes(4_096),
      Buffer.from("GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
      Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\xff\xff\xff\x00\x00\x00\x00\x00\x01", "latin1"),
      Buffer.alloc(0),
    ];
    for (const port of Object.values(voter!.ports)) await Promise.all(noise.map((bytes) => throwAt(port, bytes)));
    await Promise.all(Object.values(voter!.ports).map((port) => throwAt(port, randomBytes(16 * 1024 * 1024))));
    assert.deepEqual(await everything(), before);
    assert.ok(residentMb(cluster.pid("voter-1")) < 300, `${residentMb(cluster.pid("voter-1"))} MB`);
    assert.equal((await cluster.status("voter-1"))!.cluster_health, "healthy");
    assert.equal((await run(["job", "get", "j-404", "-e", cluster.layout.endpoints[0]!])).code, 3);
  });
});

/** Sends and waits until the other side hangs up, or for half a second. */
async function throwAt(port: number, bytes: Buffer): Promise<void> {
  const socket = connectSocket(port, "127.0.0.1");
  socket.on("error", () => {});
  socket.resume();
  const closed = new Promise((done) => socket.once("close", done));
  socket.write(bytes);
  await Promise.race([closed, pause(500)]);
  socket.destroy();
}

function residentMb(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  return Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1] ?? 0) / 1024;
}
