import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { ClientError, type WatchBatch, type WatchOptions, connect } from "#client";
import { LogIndex, NodeId } from "#kernel";
import { watchBatchToProto } from "#codec";
import type { WatchRequest } from "#gen/ringraft/v1/watch.js";
import { item } from "./fake-answers.ts";
import { FakeServer, type Seen } from "./fake-server.ts";

type WatchScript = (watch: WatchRequest, request: Seen, nth: number) => void;

async function setUp(t: TestContext, options: WatchOptions, script: WatchScript) {
  let nth = 0;
  const server = await new FakeServer((request) => {
    if (request.body.oneofKind === "watch") script(request.body.watch, request, nth++);
  }).listen();
  const client = connect({ endpoints: [server.address] });
  t.after(async () => {
    await client.close();
    server.close();
  });
  return { server, client, batches: client.watch(options)[Symbol.asyncIterator]() };
}

function send(request: Seen, revision: number, events = 1): void {
  const event = { revision: LogIndex(revision), kind: "work", key: "w", object: { kind: "work", value: item("w") } } as const;
  const batch = {
    revision: LogIndex(revision),
    events: Array.from({ length: events }, () => event),
    snapshot: null,
    snapshotEnd: false,
  };
  request.answer({ oneofKind: "watchBatch", watchBatch: watchBatchToProto(batch) });
}

function sendSnapshot(request: Seen, key: string, last: boolean): void {
  const snapshot = [{ kind: "work", key, value: item(key) }] as const;
  const batch = { revision: LogIndex(9), events: [], snapshot, snapshotEnd: last };
  request.answer({ oneofKind: "watchBatch", watchBatch: watchBatchToProto(batch) });
}

async function take(batches: AsyncIterator<WatchBatch>, count: number): Promise<readonly WatchBatch[]> {
  const taken: WatchBatch[] = [];
  while (taken.length < count) taken.push((await batches.next()).value as WatchBatch);
  return taken;
}

test("a watch resumes after the last revision it saw, bookmarks included, without gap or repetition", async (t) => {
  const asked: number[] = [];
  const { batches } = await setUp(t, { fromRevision: LogIndex(5) }, (watch, request, nth) => {
    asked.push(watch.fromRevision);
    if (nth === 0) {
      send(request, 5);
      send(request, 6);
      send(request, 8, 0);
      setTimeout(() => request.drop(), 20);
    } else send(request, 9);
  });
  assert.deepEqual(
    (await take(batches, 3)).map((batch) => batch.revision),
    [5, 6, 9],
  );
  assert.deepEqual(asked, [5, 9]);
});

test("a watch that a removed node lets go goes on at the leader, after the last revision it saw", async (t) => {
  const asked: number[] = [];
  const leader = await new FakeServer((request) => {
    if (request.body.oneofKind !== "watch") return;
    asked.push(request.body.watch.fromRevision);
    send(request, 7);
  }).listen();
  t.after(() => leader.close());
  const { server, batches } = await setUp(t, { fromRevision: LogIndex(5) }, (_watch, request) => {
    send(request, 6);
    server.role = "follower";
    server.leader = leader.address;
    request.refuse("UNAVAILABLE");
  });
  assert.deepEqual(
    (await take(batches, 2)).map((batch) => batch.revision),
    [6, 7],
  );
  assert.deepEqual(asked, [7]);
});

test("a watch 'from now on' is pinned to a revision before it begins, so an early loss skips nothing", async (t) => {
  const asked: number[] = [];
  const { batches } = await setUp(t, {}, (watch, request, nth) => {
    asked.push(watch.fromRevision);
    if (nth === 0) request.drop();
    else send(request, 2);
  });
  await take(batches, 1);
  assert.deepEqual(asked, [2, 2]);
});

test("a snapshot that was cut off is begun anew and never delivered in parts", async (t) => {
  const { batches } = await setUp(t, { snapshot: true }, (watch, request, nth) => {
    assert.equal(watch.snapshot, true);
    sendSnapshot(request, `a${nth}`, false);
    if (nth === 0) setTimeout(() => request.drop(), 20);
    else sendSnapshot(request, "b", true);
  });
  const keys = (await take(batches, 2)).map((batch) => batch.snapshot?.[0]?.key);
  assert.deepEqual(keys, ["a1", "b"]);
});

test("COMPACTED ends the watch with its reason", async (t) => {
  const { batches } = await setUp(t, { fromRevision: LogIndex(1) }, (_watch, request) => request.refuse("COMPACTED"));
  await assert.rejects(batches.next(), (error: unknown) => error instanceof ClientError && error.code === "COMPACTED");
  assert.equal((await batches.next()).done, true);
});

test("leaving the loop gives the watch up on the server", async (t) => {
  const { server, client } = await setUp(t, {}, (_watch, request) => send(request, 5));
  for await (const batch of client.watch({ fromRevision: LogIndex(5) })) {
    assert.equal(batch.revision, 5);
    break;
  }
  while (server.seen.at(-1)?.body.oneofKind !== "cancelId") await new Promise((resolve) => setImmediate(resolve));
  assert.equal(server.seen.filter((seen) => seen.body.oneofKind === "watch").length, 1);
});

test("a slow reader lets the watch go and comes back for the rest", async (t) => {
  const asked: number[] = [];
  const { server, batches } = await setUp(t, { fromRevision: LogIndex(1) }, (watch, request) => {
    asked.push(watch.fromRevision);
    const first = watch.fromRevision;
    for (let revision = first; revision < first + 1_500 && revision <= 2_000; revision++) send(request, revision);
  });
  const first = await take(batches, 1);
  while (server.seen.at(-1)?.body.oneofKind !== "cancelId") await new Promise((resolve) => setImmediate(resolve));
  const revisions = [...first, ...(await take(batches, 1_999))].map((batch) => batch.revision as number);
  assert.deepEqual(
    revisions,
    Array.from({ length: 2_000 }, (_, i) => i + 1),
  );
  assert.ok(asked.length >= 2, `asked ${asked.length} times`);
});

test("an aborted watch rejects with CANCELLED", async (t) => {
  const { batches } = await setUp(t, { signal: AbortSignal.timeout(20), fromRevision: LogIndex(1) }, () => {});
  await assert.rejects(batches.next(), (error: unknown) => error instanceof ClientError && error.code === "CANCELLED");
});

test("members and status come from whatever node is connected", async (t) => {
  const { client } = await setUp(t, {}, () => {});
  assert.deepEqual(
    (await client.members()).map((member) => member.nodeId),
    [NodeId("n1")],
  );
  assert.equal((await client.status()).role, "leader");
});
