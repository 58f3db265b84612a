import assert from "node:assert/strict";
import { test } from "node:test";
import { type LogIndex, NodeId, type Term, refusal, seededRandom, surfaces } from "#kernel";
import type { Message, ReadId } from "#raft";
import type { Reply } from "#statemachine";
import { RaftMessage } from "#gen/ringraft/peer/v1/raft.js";
import { JobPhase } from "#gen/ringraft/v1/job.js";
import { LockState } from "#gen/ringraft/v1/lock.js";
import { ModelVersionState } from "#gen/ringraft/v1/model.js";
import { NodeScheduling, NodeState } from "#gen/ringraft/v1/node.js";
import { Refusal as RefusalMessage } from "#gen/ringraft/v1/refusal.js";
import { SessionState } from "#gen/ringraft/v1/session.js";
import { Response } from "#gen/ringraft/v1/stream.js";
import { WatchBatch } from "#gen/ringraft/v1/watch.js";
import { FailureCause, WorkState } from "#gen/ringraft/v1/work.js";
import {
  WireError,
  decodeMessage,
  encodeMessage,
  failureCauses,
  jobPhases,
  lockStates,
  nodeSchedulings,
  nodeStates,
  raftMessageFromProto,
  raftMessageToProto,
  refusalFromProto,
  refusalToProto,
  replyFromProto,
  replyToProto,
  sessionStates,
  toJson,
  versionStates,
  watchBatchFromProto,
  watchBatchToProto,
  workStates,
} from "#codec";
import { Samples } from "./samples.ts";

const replies = (samples: Samples): readonly Reply[] => [
  { kind: "none" },
  { kind: "session", session: samples.session() },
  { kind: "work", item: samples.workItem(), deduplicated: samples.flag() },
  { kind: "claimed", items: samples.list(() => samples.workItem()) },
  { kind: "job", job: samples.job(), items: samples.list(() => samples.name()) },
  { kind: "version", version: samples.modelVersion() },
  { kind: "model", model: samples.model() },
  { kind: "lock", lock: samples.lock(), granted: samples.flag() },
  { kind: "node", node: samples.node() },
  { kind: "partition", partition: samples.partition() },
];

test("every reply, and with it every object, reaches the client as the state machine made it (200 seeds)", () => {
  for (let seed = 1; seed <= 200; seed++) {
    for (const reply of replies(new Samples(seededRandom(seed)))) {
      const response = Response.create({ id: 1, revision: 9, body: replyToProto(reply) });
      const received = decodeMessage(Response, encodeMessage(Response, response));
      assert.deepEqual(replyFromProto(received.body), { ok: true, value: reply }, `seed ${seed}, ${reply.kind}`);
    }
  }
});

test("messages are written as the runtime would write them, and read as it would read them", () => {
  for (let seed = 1; seed <= 50; seed++) {
    for (const reply of replies(new Samples(seededRandom(seed)))) {
      const response = Response.create({ id: seed, body: replyToProto(reply) });
      const bytes = encodeMessage(Response, response);
      assert.deepEqual(Buffer.from(bytes), Buffer.from(Response.toBinary(response)), `seed ${seed}, ${reply.kind}`);
      assert.deepEqual(decodeMessage(Response, bytes), Response.fromBinary(bytes));
    }
  }
});

test("a message larger than the writer's first buffer is whole", () => {
  const large = { reason: "INTERNAL", message: "ü".repeat(300_000), field: "", leaderId: "", leaderAddress: "", retryAfterMs: 0 };
  assert.equal(decodeMessage(RefusalMessage, encodeMessage(RefusalMessage, large)).message, large.message);
});

test("changes and snapshots of a watch come back in order, removed objects without a value", () => {
  const samples = new Samples(seededRandom(11));
  const revision = samples.index();
  const item = samples.workItem();
  const lock = samples.lock();
  const changes = {
    revision,
    events: [
      { revision, kind: "work", key: item.workId, object: { kind: "work", value: item } },
      { revision, kind: "model_version", key: "m/1", object: { kind: "model_version", value: samples.modelVersion() } },
      { revision, kind: "lock", key: lock.name, object: null },
    ],
    snapshot: null,
    snapshotEnd: false,
  } as const;
  const present = {
    revision,
    events: [],
    snapshot: [
      { kind: "lock", value: lock, key: lock.name },
      { kind: "job", value: samples.job(), key: "j" },
      { kind: "model", value: samples.model(), key: "m" },
      { kind: "session", value: samples.session(), key: "s" },
      { kind: "node", value: samples.node(), key: "n" },
      { kind: "partition", value: samples.partition(), key: "partition" },
    ],
    snapshotEnd: true,
  } as const;
  const bookmark = { revision, events: [], snapshot: null, snapshotEnd: false } as const;
  for (const batch of [changes, present, bookmark]) {
    const received = decodeMessage(WatchBatch, encodeMessage(WatchBatch, watchBatchToProto(batch)));
    assert.deepEqual(watchBatchFromProto(received), { ok: true, value: batch });
  }
});

test("no value of the protocol's enums is without a word in the domain", () => {
  for (const [codes, table] of [
    [WorkState, workStates],
    [FailureCause, failureCauses],
    [JobPhase, jobPhases],
    [ModelVersionState, versionStates],
    [LockState, lockStates],
    [SessionState, sessionStates],
    [NodeState, nodeStates],
    [NodeScheduling, nodeSchedulings],
  ] as const) {
    for (const code of Object.values(codes)) {
      if (typeof code !== "number") continue;
      assert.equal(table.value(code) === null, code === 0, `code ${code}`);
    }
    assert.throws(() => table.expect(99), WireError);
  }
});

test("a refusal of every reason survives the wire, the leader's address beside it", () => {
  for (const reason of Object.keys(surfaces) as (keyof typeof surfaces)[]) {
    const refused = refusal(reason, "why", { field: "f", leader: NodeId("n2"), retryAfterMs: 50 });
    const message = decodeMessage(RefusalMessage, encodeMessage(RefusalMessage, refusalToProto(refused, "10.0.0.2:8773")));
    assert.deepEqual(refusalFromProto(message), refused);
    assert.equal(message.leaderAddress, "10.0.0.2:8773");
  }
  const plain = refusal("NOT_FOUND", "nothing");
  assert.deepEqual(refusalFromProto(refusalToProto(plain)), plain);
});

test("a reason of a newer server is INTERNAL, and its code can still be read", () => {
  const message = { ...refusalToProto(refusal("INTERNAL", "odd")), reason: "TOO_NEW" };
  assert.deepEqual(refusalFromProto(message), refusal("INTERNAL", "TOO_NEW: odd"));
});

test("an answer with a state of a newer server is refused, not guessed", () => {
  const body = replyToProto({ kind: "lock", lock: new Samples(seededRandom(1)).lock(), granted: true });
  assert.ok(body.oneofKind === "lock");
  body.lock.lock!.state = 42 as LockState;
  const reply = replyFromProto(body);
  assert.equal(reply.ok ? "accepted" : reply.refusal.reason, "INTERNAL");
});

test("Raft messages of every kind cross the wire; from and to are the stream's", () => {
  const samples = new Samples(seededRandom(5));
  const envelope = { from: NodeId("n1"), to: NodeId("n2"), term: 7 as Term };
  const index = (): LogIndex => samples.index();
  const meta = {
    index: index(),
    term: 3 as Term,
    clusterTimeMs: samples.time(),
    wallTimeMs: samples.wall(),
    configuration: {
      voters: [NodeId("n1"), NodeId("n2")],
      votersOutgoing: [NodeId("n3")],
      learners: [NodeId("n4")],
      learnersNext: [NodeId("n5")],
      promoting: [NodeId("n6")],
      admissions: [{ node: NodeId("n4"), index: index() }],
    },
  };
  const entry = {
    term: 6 as Term,
    index: index(),
    kind: "command" as const,
    clusterTimeMs: samples.time(),
    wallTimeMs: samples.wall(),
    data: new Uint8Array([1, 2, 3]),
  };
  const vote = { lastIndex: index(), lastTerm: 6 as Term, transfer: true };
  const messages: readonly Message[] = [
    { ...envelope, kind: "preVote", ...vote },
    { ...envelope, kind: "requestVote", ...vote },
    { ...envelope, kind: "preVoteReply", granted: true },
    { ...envelope, kind: "voteReply", granted: false },
    { ...envelope, kind: "append", prevIndex: index(), prevTerm: 5 as Term, entries: [entry], commitIndex: index() },
    { ...envelope, kind: "appendReply", matchIndex: index(), suspect: false },
    { ...envelope, kind: "appendRejected", rejectedIndex: index(), hintIndex: index(), hintTerm: 2 as Term },
    { ...envelope, kind: "heartbeat", commitIndex: index(), readRound: 4 },
    { ...envelope, kind: "stateDigest", index: index(), digest: "0123456789abcdef", digestVersion: 3 },
    { ...envelope, kind: "heartbeatReply", readRound: 4, suspect: false, leaseMs: 800 },
    { ...envelope, kind: "snapshotChunk", meta, offset: 65_536, data: new Uint8Array([9]), done: true, totalBytes: 65_537 },
    {
      ...envelope,
      kind: "snapshotChunk",
      meta: { ...meta, configuration: { ...meta.configuration, votersOutgoing: null } },
      offset: 0,
      data: new Uint8Array(0),
      done: false,
      totalBytes: 0,
    },
    { ...envelope, kind: "snapshotReply", index: index(), nextOffset: 65_537, installed: true, suspect: false },
    { ...envelope, kind: "readIndex", readId: 12 as ReadId, suspect: true },
    { ...envelope, kind: "readIndexReply", readId: 12 as ReadId, index: index() },
    { ...envelope, kind: "readIndexReply", readId: 12 as ReadId, index: null },
  ];
  for (const message of messages) {
    const received = decodeMessage(RaftMessage, encodeMessage(RaftMessage, raftMessageToProto(message)));
    assert.deepEqual(raftMessageFromProto(received, envelope.from, envelope.to), { ok: true, value: message }, message.kind);
  }
});

test("a damaged peer message is refused with the peer's name", () => {
  const from = NodeId("n1");
  const to = NodeId("n2");
  const damaged = [
    RaftMessage.create({ term: 1 }),
    RaftMessage.create({
      term: 1,
      body: { oneofKind: "append", append: { prevIndex: 0, prevTerm: 0, commitIndex: 0, entries: [new Uint8Array(7)] } },
    }),
    RaftMessage.create({
      body: { oneofKind: "snapshotChunk", snapshotChunk: { offset: 0, data: new Uint8Array(0), done: false, totalBytes: 0 } },
    }),
  ];
  for (const message of damaged) {
    const received = raftMessageFromProto(message, from, to);
    assert.ok(!received.ok && received.refusal.reason === "INVALID_ARGUMENT" && received.refusal.message.includes("n1"));
  }
});

test("JSON spells as the protocol does: counters as strings, times as numbers, the user's keys untouched", () => {
  const samples = new Samples(seededRandom(2));
  const session = samples.session();
  const lock = samples.lock();
  const json = toJson({
    session: { ...session, capabilities: null },
    lock: { lastToken: lock.lastToken, delayUntilMs: null, lockDelayMs: 5 },
    spec: { deadlineMs: 9, requires: { gpuModels: ["A100"] }, labels: { gpuModel: "x", term: 1 } },
    status: { term: 3, commitIndex: 4, sequence: 5, percent: 1.5, none: undefined },
  });
  assert.deepEqual(json, {
    session: {
      session_id: session.sessionId,
      node_id: session.nodeId,
      incarnation: String(session.incarnation),
      principal: session.principal,
      purpose: session.purpose,
      state: session.state,
      ttl_ms: session.ttlMs,
      session_deadline_ms: session.deadlineMs,
      capabilities: null,
      opened_at_ms: session.openedAtMs,
      opened_wall_ms: session.openedWallMs,
      create_revision: String(session.createRevision),
      mod_revision: String(session.modRevision),
      version: session.version,
    },
    lock: { last_token: String(lock.lastToken), delay_until_ms: null, lock_delay_ms: 5 },
    spec: { deadline_ms: 9, requires: { gpu_model: ["A100"] }, labels: { gpuModel: "x", term: 1 } },
    status: { term: "3", commit_index: "4", sequence: "5", percent: 1.5 },
  });
});
