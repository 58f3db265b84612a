import assert from "node:assert/strict";
import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { type TestContext, test } from "node:test";
import { type Client, ClientError, type ClientOptions, connect } from "#client";
import { LogIndex, WorkId } from "#kernel";
import { workAnswer, withSession } from "./fake-answers.ts";
import { FakeServer, type Script } from "./fake-server.ts";

const noWork = { percent: 0, step: "", message: "" };

async function start(t: TestContext, script: Script): Promise<FakeServer> {
  const server = await new FakeServer(script).listen();
  t.after(() => server.close());
  return server;
}

function client(t: TestContext, server: FakeServer, more: Partial<ClientOptions> = {}): Client {
  const made = connect({ endpoints: [server.address], timeoutMs: 5_000, ...more });
  t.after(() => made.close());
  return made;
}

async function failure(promise: Promise<unknown>): Promise<ClientError> {
  try {
    await promise;
  } catch (error) {
    assert.ok(error instanceof ClientError, String(error));
    return error;
  }
  return assert.fail("expected a rejection");
}

test("answers find their callers in whatever order they come", async (t) => {
  const waiting: (() => void)[] = [];
  const server = await start(t, (request) => {
    if (request.operation?.kind !== "enqueueWork") return;
    const { kind } = request.operation.spec;
    waiting.unshift(() => request.answer(workAnswer(kind)));
    if (waiting.length === 3) for (const answer of waiting) answer();
  });
  const { work } = client(t, server);
  const ids = await Promise.all(["a", "b", "c"].map(async (kind) => (await work.enqueue({ kind })).item.workId));
  assert.deepEqual(ids, ["a", "b", "c"]);
});

test("calls made in one turn of the loop travel in one frame", async (t) => {
  const server = await start(t, (request) => request.answer(workAnswer("w")));
  const { work } = client(t, server);
  await work.enqueue({ kind: "first" });
  server.frames.length = 0;
  await Promise.all(Array.from({ length: 500 }, () => work.enqueue({ kind: "k" })));
  assert.deepEqual(server.frames, [500]);
});

test("a session's write whose connection is lost is sent again with the same bytes and sequence (issue 2, client rule)", async (t) => {
  let dropped = false;
  const server = await start(
    t,
    withSession((request) => {
      if (dropped) return request.answer(workAnswer("w"));
      dropped = true;
      request.drop();
    }),
  );
  const session = await client(t, server).openSession();
  await session.work.enqueue({ kind: "k" });
  const [first, second] = server.commands.filter((request) => request.operation?.kind === "enqueueWork");
  assert.equal(first?.sequence, 1);
  assert.deepEqual(second?.bytes, first?.bytes);
});

test("a plain write whose connection is lost after it was sent is unknown, and is never sent again", async (t) => {
  const server = await start(t, (request) => request.drop());
  const error = await failure(client(t, server).work.enqueue({ kind: "k" }));
  assert.equal(error.outcome, "unknown");
  assert.equal(error.code, "UNKNOWN_OUTCOME");
  assert.equal(server.commands.length, 1);
});

test("a plain write that was refused with NOT_LEADER did not happen, so it goes to the leader", async (t) => {
  const leader = await start(t, (request) => request.answer(workAnswer("w")));
  const deposed = await start(t, (request) => request.refuse("NOT_LEADER", { leaderAddress: leader.address }));
  await client(t, deposed).work.enqueue({ kind: "k" });
  assert.equal(deposed.commands.length, 1);
  assert.equal(leader.commands.length, 1);
});

test("a follower's hint is followed before anything is sent to it", async (t) => {
  const leader = await start(t, (request) => request.answer(workAnswer("w")));
  const follower = await start(t, () => {});
  follower.role = "follower";
  follower.leader = leader.address;
  await client(t, follower).work.enqueue({ kind: "k" });
  assert.equal(follower.seen.length, 0);
});

test("removed nodes that name each other do not keep a client from the members", async (t) => {
  const leader = await start(t, (request) => request.answer(workAnswer("w")));
  const removed = await Promise.all(Array.from({ length: 2 }, () => start(t, (request) => request.refuse("NO_LEADER"))));
  const [knowsNobody, namesIt] = removed;
  for (const server of removed) server.role = "follower";
  namesIt!.leader = knowsNobody!.address;
  const endpoints = [knowsNobody!.address, namesIt!.address, leader.address];
  await client(t, leader, { endpoints }).work.enqueue({ kind: "k" });
  assert.equal(leader.commands.length, 1);
});

test("the leader is found behind dead endpoints and through an election", async (t) => {
  const server = await start(t, (request) => request.answer(workAnswer("w")));
  server.role = "candidate";
  const made = client(t, server, { endpoints: ["127.0.0.1:1", server.address] });
  const pending = made.work.enqueue({ kind: "k" });
  assert.equal((await made.status()).role, "candidate");
  server.role = "leader";
  assert.equal((await pending).item.workId, "w");
});

test("a definite refusal is told as it came: failed, with its reason", async (t) => {
  const server = await start(
    t,
    withSession((request) => request.refuse("FENCED")),
  );
  const session = await client(t, server).openSession();
  const error = await failure(session.work.progress(WorkId("w"), LogIndex(1), noWork));
  assert.deepEqual([error.code, error.outcome, error.refusal.reason], ["FENCED", "failed", "FENCED"]);
});

test("OVERLOADED is waited out", async (t) => {
  let refusals = 0;
  const server = await start(t, (request) => {
    if (refusals++ < 2) request.refuse("OVERLOADED", { retryAfterMs: 10 });
    else request.answer(workAnswer("w"));
  });
  await client(t, server).work.enqueue({ kind: "k" });
  assert.equal(server.commands.length, 3);
});

test("at the deadline a write that was sent is unknown, one that nobody could take is a failed UNAVAILABLE", async (t) => {
  const silent = await start(t, () => {});
  const sent = await failure(client(t, silent).work.enqueue({ kind: "k" }, { timeoutMs: 150 }));
  assert.deepEqual([sent.code, sent.outcome], ["UNKNOWN_OUTCOME", "unknown"]);
  assert.ok(silent.commands[0]!.timeoutMs <= 150);
  const nobody = connect({ endpoints: ["127.0.0.1:1"] });
  t.after(() => nobody.close());
  const unsent = await failure(nobody.work.enqueue({ kind: "k" }, { timeoutMs: 150 }));
  assert.deepEqual([unsent.code, unsent.outcome], ["UNAVAILABLE", "failed"]);
});

test("a node that takes connections and says nothing is a TIMEOUT: somebody is there", async (t) => {
  const mute = createServer((socket) => t.after(() => socket.destroy())).listen(0, "127.0.0.1");
  await once(mute, "listening");
  const { port } = mute.address() as AddressInfo;
  const waiting = connect({ endpoints: [`127.0.0.1:${port}`, "127.0.0.1:1"] });
  t.after(async () => {
    await waiting.close();
    mute.close();
  });
  const error = await failure(waiting.work.enqueue({ kind: "k" }, { timeoutMs: 2_500 }));
  assert.deepEqual([error.code, error.outcome], ["TIMEOUT", "failed"]);
});

test("an aborted call is CANCELLED at once, unknown if it was sent, and the server is told", async (t) => {
  const abort = new AbortController();
  const server = await start(t, () => setTimeout(() => abort.abort(), 5));
  const error = await failure(client(t, server).work.enqueue({ kind: "k" }, { signal: abort.signal }));
  assert.deepEqual([error.code, error.outcome], ["CANCELLED", "unknown"]);
  while (server.seen.length < 2) await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(server.seen[1]?.body, { oneofKind: "cancelId", cancelId: server.seen[0]?.id });
  const early = await failure(client(t, server).work.enqueue({ kind: "k" }, { signal: AbortSignal.abort() }));
  assert.deepEqual([early.code, early.outcome], ["CANCELLED", "failed"]);
});

test("a node of another cluster is not talked to", async (t) => {
  const server = await start(t, (request) => request.answer(workAnswer("w")));
  server.clusterId = "other";
  const made = client(t, server, { clusterId: "c1" as NonNullable<ClientOptions["clusterId"]> });
  const error = await failure(made.work.enqueue({ kind: "k" }, { timeoutMs: 200 }));
  assert.match(error.message, /belongs to cluster other/);
  assert.equal(server.commands.length, 0);
});

test("no more than maxInflight calls are out at once; the rest wait their turn", async (t) => {
  let open = 0;
  let most = 0;
  const server = await start(t, (request) => {
    most = Math.max(most, ++open);
    setImmediate(() => {
      open--;
      request.answer(workAnswer("w"));
    });
  });
  const { work } = client(t, server, { maxInflight: 4 });
  await Promise.all(Array.from({ length: 50 }, () => work.enqueue({ kind: "k" })));
  assert.equal(server.commands.length, 50);
  assert.ok(most <= 4, `${most} were out at once`);
});

test("closing the client rejects what is open", async (t) => {
  const server = await start(t, () => {});
  const made = client(t, server);
  const pending = failure(made.work.enqueue({ kind: "k" }));
  while (server.commands.length === 0) await new Promise((resolve) => setImmediate(resolve));
  await made.close();
  assert.deepEqual([(await pending).code, (await pending).outcome], ["CANCELLED", "unknown"]);
});

test("a file name where PEM text belongs is refused by name", () => {
  assert.throws(() => connect({ endpoints: ["127.0.0.1:1"], tls: { ca: "/etc/ca.pem" } }), /tls\.ca must be PEM text/);
});
