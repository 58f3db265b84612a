import assert from "node:assert/strict";
import { test } from "node:test";
import { Sequence, WorkId, refusal, seededRandom } from "#kernel";
import { decodeCommand, encodeCommand } from "#codec";
import { ClientFrame, type Response } from "#gen/ringraft/v1/stream.js";
import { Samples } from "../codec/samples.ts";
import { decided, fenced, notLeader } from "./fake-replica.ts";
import { openStream, startDoors } from "./grpc-fixture.ts";

const item = new Samples(seededRandom(1)).workItem();
const requeue = encodeCommand({
  sessionId: null,
  sequence: null,
  firstUnackedSequence: Sequence(0),
  operation: { kind: "requeueWork", workId: WorkId("w1") },
});
const command = { oneofKind: "command", command: requeue } as const;
const answeredItem = () => decided({ kind: "work", item, deduplicated: false });

function refusalIn(response: Response | undefined) {
  assert.ok(response?.body.oneofKind === "refusal", `expected a refusal, got ${response?.body.oneofKind}`);
  return response.body.refusal;
}

test("many requests of one frame are answered in one frame", async (t) => {
  const { replica, client } = await startDoors(t);
  replica.answerNow = answeredItem;
  const stream = openStream(client);
  stream.send(...Array.from({ length: 300 }, (_, i) => ({ id: i + 1, body: command })));
  const responses = await stream.next(300);
  assert.deepEqual(
    responses.map(({ id, revision, body }) => [id, revision, body.oneofKind]),
    Array.from({ length: 300 }, (_, i) => [i + 1, 40, "work"]),
  );
  assert.deepEqual(stream.frames, [300]);
});

test("answers leave in the order in which they are decided, matched by id", async (t) => {
  const { replica, client } = await startDoors(t);
  const stream = openStream(client);
  stream.send({ id: 1, body: command }, { id: 2, body: command }, { id: 3, timeoutMs: 250, body: command });
  await replica.until(() => replica.submitted.length === 3);
  assert.deepEqual(
    replica.submitted.map(({ request }) => [request.timeoutMs, request.principal]),
    [
      [null, "anonymous"],
      [null, "anonymous"],
      [250, "anonymous"],
    ],
  );
  for (const i of [2, 0, 1]) replica.submitted[i]!.respond(answeredItem());
  assert.deepEqual(
    (await stream.next(3)).map(({ id }) => id),
    [3, 1, 2],
  );
});

test("a brief request is answered without the item it changed; its neighbour gets the whole item", async (t) => {
  const { replica, client } = await startDoors(t);
  const stream = openStream(client);
  stream.send({ id: 1, brief: true, body: command }, { id: 2, body: command });
  await replica.until(() => replica.submitted.length === 2);
  for (const { respond } of replica.submitted) respond(answeredItem());
  const [brief, full] = await stream.next(2);
  assert.ok(brief!.body.oneofKind === "workBrief" && full!.body.oneofKind === "work");
  const { item } = full!.body.work;
  assert.deepEqual(
    [brief!.revision, brief!.body.workBrief.workId, brief!.body.workBrief.state],
    [full!.revision, item!.workId, item!.state],
  );
});

test("a refusal comes as data, with the leader's client address when another node leads", async (t) => {
  const { replica, client } = await startDoors(t);
  const stream = openStream(client);
  stream.send({ id: 1, body: command }, { id: 2, body: command });
  await replica.until(() => replica.submitted.length === 2);
  replica.submitted[0]!.respond(notLeader());
  replica.submitted[1]!.respond(fenced());
  const [first, second] = (await stream.next(2)).map(refusalIn);
  assert.deepEqual([first!.reason, first!.leaderId, first!.leaderAddress], ["NOT_LEADER", "n2", "127.0.0.1:2"]);
  assert.deepEqual([second!.reason, second!.field, second!.leaderAddress], ["FENCED", "fencing_token", ""]);
});

test("a cancelled request is abandoned and answered with CANCELLED; a late answer does not reach its id again", async (t) => {
  const { replica, client } = await startDoors(t);
  const stream = openStream(client);
  stream.send({ id: 7, body: command });
  await replica.until(() => replica.submitted.length === 1);
  stream.send({ id: 8, body: { oneofKind: "cancelId", cancelId: 7 } });
  assert.equal(refusalIn((await stream.next(1))[0]).reason, "CANCELLED");
  assert.deepEqual(replica.abandoned, [replica.submitted[0]!.request]);
  stream.send({ id: 7, body: command });
  await replica.until(() => replica.submitted.length === 2);
  replica.submitted[0]!.respond(fenced());
  replica.submitted[1]!.respond(answeredItem());
  const [answer] = await stream.next(1);
  assert.deepEqual([answer!.id, answer!.body.oneofKind], [7, "work"]);
});

test("a read that finds no answer in its time is refused with TIMEOUT", async (t) => {
  const { replica, client } = await startDoors(t);
  replica.readAnswers = false;
  const stream = openStream(client);
  stream.send({ id: 1, timeoutMs: 20, body: { oneofKind: "getWork", getWork: { workId: "w1" } } });
  assert.equal(refusalIn((await stream.next(1))[0]).reason, "TIMEOUT");
});

test("reads say how fresh they must be, and a bad mode is refused by field", async (t) => {
  const { replica, client } = await startDoors(t);
  replica.reader = { work: (id) => (id === "w1" ? item : null) };
  const stream = openStream(client);
  const get = (workId: string, mode?: string, minRevision = 0) =>
    ({
      oneofKind: "getWork",
      getWork: mode === undefined ? { workId } : { workId, read: { mode, minRevision } },
    }) as const;
  stream.send(
    { id: 1, body: get("w1") },
    { id: 2, body: get("w2", "stale") },
    { id: 3, body: get("w1", "", 40) },
    { id: 4, body: get("w1", "eventual") },
    { id: 5, body: get("") },
  );
  const byId = new Map((await stream.next(5)).map((response) => [response.id, response]));
  assert.deepEqual(replica.reads, [{ mode: "linearizable" }, { mode: "stale" }, { mode: "min_revision", revision: 40 }]);
  assert.deepEqual([byId.get(1)!.revision, byId.get(1)!.body.oneofKind], [41, "work"]);
  assert.equal(refusalIn(byId.get(2)).reason, "NOT_FOUND");
  assert.equal(refusalIn(byId.get(4)).field, "read.mode");
  assert.equal(refusalIn(byId.get(5)).field, "work_id");
});

test("a lock's token is checked, and a wrong one is not told the right one (catalogue 40)", async (t) => {
  const { replica, client } = await startDoors(t);
  const held = new Samples(seededRandom(3)).lock();
  const holder = { sessionId: "s", nodeId: "n", fencingToken: 77, acquiredAtMs: 1 };
  replica.reader = { lock: () => ({ ...held, state: "HELD", holder }) as never };
  const stream = openStream(client);
  const check = (fencingToken: number) => ({ oneofKind: "checkLock", checkLock: { name: "l", fencingToken } }) as const;
  stream.send({ id: 1, body: check(77) }, { id: 2, body: check(76) });
  const [right, wrong] = await stream.next(2);
  assert.equal(right!.body.oneofKind, "lock");
  assert.equal(refusalIn(wrong).reason, "FENCED");
  assert.doesNotMatch(refusalIn(wrong).message, /77/);
});

test("a bad request is refused by its id, and the stream and its neighbours live on", async (t) => {
  const { replica, client } = await startDoors(t);
  replica.answerNow = answeredItem;
  const stream = openStream(client);
  const good = ClientFrame.toBinary({ requests: [{ id: 1, timeoutMs: 0, brief: false, body: command }] });
  const unknownField = Buffer.from([0x0a, 0x05, 0x08, 0x02, 0x9a, 0x06, 0x00]);
  const noBody = Buffer.from([0x0a, 0x02, 0x08, 0x03]);
  stream.sendRaw(Buffer.concat([good, unknownField, noBody, Buffer.from([0x0a, 0x7f, 0x00])]));
  const byId = new Map((await stream.next(4)).map((response) => [response.id, response]));
  assert.equal(byId.get(1)!.body.oneofKind, "work");
  assert.equal(refusalIn(byId.get(2)).reason, "INVALID_ARGUMENT");
  assert.equal(refusalIn(byId.get(3)).field, "body");
  assert.equal(refusalIn(byId.get(0)).reason, "INVALID_ARGUMENT");
  stream.send({ id: 9, body: command });
  assert.equal((await stream.next(1))[0]!.id, 9);
});

test("an id that is not answered yet cannot be used again", async (t) => {
  const { client, replica } = await startDoors(t);
  const stream = openStream(client);
  stream.send({ id: 1, body: command }, { id: 1, body: command }, { id: 0, body: command });
  assert.deepEqual(
    (await stream.next(2)).map((response) => refusalIn(response).field),
    ["id", "id"],
  );
  assert.equal(replica.submitted.length, 1);
});

test("more unanswered requests than the limit are refused with OVERLOADED and a pause", async (t) => {
  const { client, replica } = await startDoors(t, { maxUnanswered: 4 });
  const stream = openStream(client);
  stream.send(...Array.from({ length: 6 }, (_, i) => ({ id: i + 1, body: command })));
  const refused = (await stream.next(2)).map(refusalIn);
  assert.deepEqual(
    refused.map(({ reason, retryAfterMs }) => [reason, retryAfterMs]),
    [
      ["OVERLOADED", 100],
      ["OVERLOADED", 100],
    ],
  );
  assert.equal(replica.submitted.length, 4);
});

test("closing the stream abandons what it asked for", async (t) => {
  const { client, replica } = await startDoors(t);
  const stream = openStream(client);
  stream.send({ id: 1, body: command }, { id: 2, body: watchAll });
  await replica.until(() => replica.submitted.length === 1 && replica.watches.length === 1);
  stream.call.cancel();
  await replica.until(() => replica.abandoned.length === 1 && replica.watches[0]!.cancelled);
  assert.deepEqual(replica.abandoned, [replica.submitted[0]!.request]);
});

test("a client that has said all it will say is answered before the stream ends", async (t) => {
  const { client, replica } = await startDoors(t);
  const stream = openStream(client);
  stream.send({ id: 1, body: command });
  await replica.until(() => replica.submitted.length === 1);
  const ended = Promise.withResolvers<void>();
  stream.call.on("end", ended.resolve);
  stream.call.end();
  replica.submitted[0]!.respond(answeredItem());
  assert.equal((await stream.next(1))[0]!.id, 1);
  await ended.promise;
});

const watchAll = {
  oneofKind: "watch" as const,
  watch: { fromRevision: 5, snapshot: false, kinds: ["work"], keyPrefix: "w" },
};

test("a watch answers many times on one id, until it is cancelled", async (t) => {
  const { client, replica } = await startDoors(t);
  const stream = openStream(client);
  stream.send({ id: 3, body: watchAll });
  await replica.until(() => replica.watches.length === 1);
  const { spec, sink } = replica.watches[0]!;
  assert.deepEqual(spec, { fromRevision: 5, snapshot: false, kinds: ["work"], keyPrefix: "w" });
  for (const revision of [5, 6]) {
    const event = { revision, kind: "work", key: item.workId, object: { kind: "work", value: item } };
    sink.push({ revision, events: [event], snapshot: null, snapshotEnd: false } as never);
  }
  const batches = await stream.next(2);
  assert.deepEqual(
    batches.map(({ id, revision, body }) => [id, revision, body.oneofKind]),
    [
      [3, 5, "watchBatch"],
      [3, 6, "watchBatch"],
    ],
  );
  stream.send({ id: 4, body: { oneofKind: "cancelId", cancelId: 3 } });
  assert.equal(refusalIn((await stream.next(1))[0]).reason, "CANCELLED");
  assert.equal(replica.watches[0]!.cancelled, true);
});

test("a reader too slow for its watch is ended with OVERLOADED at a named revision (etcd#17529: never dropped in silence)", async (t) => {
  const { client, replica } = await startDoors(t, { maxBufferedEvents: 3 });
  const stream = openStream(client);
  stream.send({ id: 3, body: watchAll });
  await replica.until(() => replica.watches.length === 1);
  for (const revision of [5, 6, 7, 8, 9]) {
    const event = { revision, kind: "work", key: "w", object: null };
    replica.watches[0]!.sink.push({ revision, events: [event], snapshot: null, snapshotEnd: false } as never);
  }
  const responses = await stream.next(4);
  const refused = refusalIn(responses[3]);
  assert.equal(refused.reason, "OVERLOADED");
  assert.match(refused.message, /revision 8/);
  assert.equal(replica.watches[0]!.cancelled, true);
});

test("a watch on a kind that does not exist, or one too many, is refused", async (t) => {
  const { client } = await startDoors(t, { maxWatches: 1 });
  const stream = openStream(client);
  stream.send(
    { id: 1, body: { oneofKind: "watch", watch: { ...watchAll.watch, kinds: ["pod"] } } },
    { id: 2, body: watchAll },
    { id: 3, body: watchAll },
  );
  const [first, second] = (await stream.next(2)).map(refusalIn);
  assert.deepEqual([first!.field, second!.reason], ["kinds", "QUOTA_EXCEEDED"]);
});

test("the caller's certificate, not the caller's word, names the principal of a session", async (t) => {
  const { client, replica } = await startDoors(t);
  const samples = new Samples(seededRandom(8));
  const [openSession] = samples.operations();
  assert.ok(openSession?.kind === "openSession");
  const bytes = encodeCommand({
    sessionId: null,
    sequence: null,
    firstUnackedSequence: Sequence(0),
    operation: { ...openSession, principal: "root" },
  });
  openStream(client).send({ id: 1, body: { oneofKind: "command", command: bytes } });
  await replica.until(() => replica.submitted.length === 1);
  const decoded = decodeCommand(replica.submitted[0]!.request.command);
  assert.ok(decoded.ok && decoded.value.command.operation.kind === "openSession");
  assert.equal(decoded.value.command.operation.principal, "anonymous");
});

test("a frame over the limit ends the call with RESOURCE_EXHAUSTED (catalogue 33)", async (t) => {
  const { client } = await startDoors(t, { maxReceiveBytes: 65_536 });
  const stream = openStream(client);
  const { promise, resolve } = Promise.withResolvers<{ readonly code: number }>();
  stream.call.on("error", (error) => resolve(error as unknown as { readonly code: number }));
  stream.sendRaw(Buffer.alloc(65_537));
  assert.equal((await promise).code, 8);
});

test("answers larger than a frame are split, none is lost", async (t) => {
  const { replica, client } = await startDoors(t);
  const large = { ...item, result: "r".repeat(60_000) };
  replica.answerNow = () => decided({ kind: "work", item: large, deduplicated: false });
  const stream = openStream(client);
  stream.send(...Array.from({ length: 100 }, (_, i) => ({ id: i + 1, body: command })));
  const responses = await stream.next(100);
  assert.deepEqual(
    responses.map(({ id }) => id),
    Array.from({ length: 100 }, (_, i) => i + 1),
  );
  assert.ok(stream.frames.length >= 6, `6 MB came in ${stream.frames.length} frames`);
});

test("a client that does not read is not read from either, and finds every answer when it reads again", async (t) => {
  const { replica, client } = await startDoors(t);
  const large = { ...item, result: "r".repeat(60_000) };
  replica.answerNow = () => decided({ kind: "work", item: large, deduplicated: false });
  const stream = openStream(client);
  stream.call.pause();
  for (let id = 1; id <= 200; id++) stream.send({ id, body: command });
  await replica.until(() => replica.submitted.length > 0);
  // The first answers fill the window of HTTP/2; what the client goes on sending stays in its own buffers.
  for (let turn = 0; turn < 500; turn++) await new Promise((resolve) => setImmediate(resolve));
  for (let id = 201; id <= 400; id++) stream.send({ id, body: command });
  for (let turn = 0; turn < 500; turn++) await new Promise((resolve) => setImmediate(resolve));
  assert.ok(replica.submitted.length < 400, "requests were taken from a client that does not read");
  stream.call.resume();
  const ids = (await stream.next(400)).map(({ id }) => id);
  assert.deepEqual(
    ids,
    Array.from({ length: 400 }, (_, i) => i + 1),
  );
});

test("a session's renewal is answered with the session; an ended one with SESSION_EXPIRED", async (t) => {
  const { replica, client } = await startDoors(t);
  const session = new Samples(seededRandom(2)).session();
  replica.reader = { session: () => session };
  const stream = openStream(client);
  const renew = { oneofKind: "renewSession", renewSession: { sessionId: session.sessionId } } as const;
  stream.send({ id: 1, body: renew });
  assert.equal((await stream.next(1))[0]!.body.oneofKind, "session");
  replica.renewed = { ok: false, refusal: refusal("SESSION_EXPIRED", "gone") };
  stream.send({ id: 2, body: renew });
  assert.equal(refusalIn((await stream.next(1))[0]).reason, "SESSION_EXPIRED");
});
