import assert from "node:assert/strict";
import { once } from "node:events";
import { type TestContext, test } from "node:test";
import { type Client, ClientError, connect } from "#client";
import { LogIndex, WorkId } from "#kernel";
import { lockAnswer, sessionAnswer, withSession, workAnswer } from "./fake-answers.ts";
import { FakeServer, type Script, type Seen } from "./fake-server.ts";

async function setUp(t: TestContext, script: Script): Promise<{ readonly server: FakeServer; readonly client: Client }> {
  const server = await new FakeServer(script).listen();
  const client = connect({ endpoints: [server.address], timeoutMs: 2_000 });
  t.after(async () => {
    await client.close();
    server.close();
  });
  return { server, client };
}

const kinds = (server: FakeServer): readonly (string | undefined)[] => server.commands.map((seen) => seen.operation?.kind);
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test("sequences rise by one, and first_unacked follows the oldest unanswered write (thesis §6.3)", async (t) => {
  const held: Seen[] = [];
  const { server, client } = await setUp(
    t,
    withSession((request) => {
      if (request.sequence === 2 && held.length === 0) held.push(request);
      else request.answer(workAnswer("w"));
    }),
  );
  const { work } = await client.openSession();
  await work.enqueue({ kind: "1" });
  const second = work.enqueue({ kind: "2" });
  await work.enqueue({ kind: "3" });
  await work.enqueue({ kind: "4" });
  held[0]?.answer(workAnswer("w"));
  await second;
  await work.enqueue({ kind: "5" });
  const writes = server.commands.filter((seen) => seen.sequence !== null);
  assert.deepEqual(
    writes.map((seen) => [seen.sequence, seen.firstUnacked]),
    [
      [1, 1],
      [2, 2],
      [3, 2],
      [4, 2],
      [5, 5],
    ],
  );
});

test("every write in flight survives the loss of the connection: same sequences, none new", async (t) => {
  let cut = false;
  const { server, client } = await setUp(
    t,
    withSession((request) => {
      if (cut) request.answer(workAnswer("w"));
      else if (request.sequence === 20) {
        cut = true;
        request.drop();
      }
    }),
  );
  const { work } = await client.openSession();
  await Promise.all(Array.from({ length: 20 }, () => work.enqueue({ kind: "k" })));
  const sequences = new Set(server.commands.filter((seen) => seen.sequence !== null).map((seen) => seen.sequence));
  assert.equal(sequences.size, 20);
});

test("a session is renewed at a third of its time to live, and ended on the server by close", async (t) => {
  const { server, client } = await setUp(
    t,
    withSession(() => {}, 60),
  );
  const session = await client.openSession();
  while (server.seen.filter((seen) => seen.body.oneofKind === "renewSession").length < 3) await turn();
  assert.equal(session.lost.aborted, false);
  await session.close();
  assert.deepEqual(kinds(server), ["openSession", "closeSession"]);
  assert.equal(session.ended.aborted, true);
});

test("SESSION_EXPIRED ends the session and is never answered by silently opening another (research: etcd3#158)", async (t) => {
  const { server, client } = await setUp(t, (request) => {
    if (request.operation?.kind === "openSession") request.answer(sessionAnswer("s1", 15_000));
    else request.refuse("SESSION_EXPIRED");
  });
  const session = await client.openSession();
  const write = (): Promise<unknown> => session.work.enqueue({ kind: "k" });
  await assert.rejects(write, (error: unknown) => error instanceof ClientError && error.code === "SESSION_EXPIRED");
  assert.equal(session.lost.aborted && session.ended.aborted, true);
  await assert.rejects(write, (error: unknown) => error instanceof ClientError && error.outcome === "failed");
  assert.deepEqual(kinds(server), ["openSession", "enqueueWork"]);
});

test("a session that cannot be renewed is lost before the server can have ended it, and still not ended", async (t) => {
  const { client } = await setUp(t, (request) => {
    if (request.operation?.kind === "openSession") request.answer(sessionAnswer("s1", 200));
  });
  const openedAtMs = performance.now();
  const session = await client.openSession();
  await once(session.lost, "abort");
  assert.ok(performance.now() - openedAtMs < 200);
  assert.equal(session.state, "uncertain");
  assert.equal(session.ended.aborted, false);
});

test("a claim waits for its long poll on top of the client's patience", async (t) => {
  const { server, client } = await setUp(
    t,
    withSession((request) => request.answer({ oneofKind: "claim", claim: { items: [] } })),
  );
  const session = await client.openSession();
  assert.deepEqual(await session.work.claim({ workerId: "w", queues: ["q"], waitMs: 5_000 }), []);
  const claim = server.commands.at(-1)!;
  assert.equal(claim.waitMs, 5_000);
  assert.ok(claim.timeoutMs > 5_000);
});

test("an Acquire that is given up leaves the line, and gives back what it was granted meanwhile", async (t) => {
  const { server, client } = await setUp(
    t,
    withSession((request) => {
      if (request.operation?.kind === "cancelAcquire") request.answer({ oneofKind: undefined });
      else if (request.operation?.kind === "releaseLock") request.answer(lockAnswer("l", "s1", 7));
      else if (request.body.oneofKind === "getLock") request.answer(lockAnswer("l", "s1", 7));
    }),
  );
  const session = await client.openSession();
  const pending = session.locks.acquire("l", { signal: AbortSignal.timeout(20) });
  await assert.rejects(pending, (error: unknown) => error instanceof ClientError && error.outcome === "unknown");
  while (kinds(server).at(-1) !== "releaseLock") await turn();
  assert.deepEqual(kinds(server), ["openSession", "acquireLock", "cancelAcquire", "releaseLock"]);
});

test("a granted lock carries its token as a guard, and releases itself", async (t) => {
  const { server, client } = await setUp(
    t,
    withSession((request) => request.answer(lockAnswer("l", "s1", 7))),
  );
  const lock = await (await client.openSession()).locks.acquire("l");
  assert.deepEqual(lock.guard, { lock: "l", fencingToken: LogIndex(7) });
  await lock.release();
  assert.deepEqual(server.commands.at(-1)?.operation, { kind: "releaseLock", name: "l", fencingToken: LogIndex(7) });
});

test("a refusal from before the reply table leaves a resent write unknown", async (t) => {
  let tries = 0;
  const { client } = await setUp(
    t,
    withSession((request) => (tries++ === 0 ? request.drop() : request.refuse("SESSION_EXPIRED"))),
  );
  const session = await client.openSession();
  const write = session.work.complete(WorkId("w"), LogIndex(1), {});
  await assert.rejects(write, (error: unknown) => error instanceof ClientError && error.outcome === "unknown");
});
