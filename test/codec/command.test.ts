import assert from "node:assert/strict";
import { test } from "node:test";
import { WorkId, seededRandom } from "#kernel";
import { type Command as CommandMessage, Command } from "#gen/ringraft/v1/command.js";
import { admitCommand, codecLimits, commandDefaults, completeWorkSpec, decodeCommand, encodeCommand } from "#codec";
import { Samples } from "./samples.ts";

type Operation = CommandMessage["operation"];

const encode = (operation: Operation, envelope: Partial<CommandMessage> = {}): Uint8Array =>
  Command.toBinary(Command.create({ ...envelope, operation }));

/** The generated types want every field; `create` fills what a test leaves out. */
const asked = (kind: string, request: object): Operation =>
  Command.create({ operation: { oneofKind: kind, [kind]: request } } as never).operation;

const refusalOf = (bytes: Uint8Array) => {
  const decoded = decodeCommand(bytes);
  assert.equal(decoded.ok, false, "the command was accepted");
  return decoded.ok ? assert.fail() : decoded.refusal;
};

const claim = { workerId: "w1", queues: ["default"] };
const held = { workId: "w", fencingToken: 7 };

test("a command of every kind comes back as it was, whatever it holds (200 seeds)", () => {
  for (let seed = 1; seed <= 200; seed++) {
    const samples = new Samples(seededRandom(seed));
    for (const operation of samples.operations()) {
      const command = samples.command(operation);
      const decoded = decodeCommand(encodeCommand(command));
      assert.deepEqual(decoded, { ok: true, value: { command, waitMs: 0 } }, `seed ${seed}, ${operation.kind}`);
    }
  }
});

test("every operation of the protocol has a sample, so that none goes untested", () => {
  const kinds = new Samples(seededRandom(1)).operations().map((operation) => operation.kind);
  const named = Command.fields.filter((field) => field.oneof === "operation").map((field) => field.localName);
  assert.deepEqual([...kinds].toSorted(), named.toSorted());
});

test("what the client encodes is what the generated code would have written", () => {
  const samples = new Samples(seededRandom(3));
  for (const operation of samples.operations()) {
    const bytes = encodeCommand(samples.command(operation));
    assert.deepEqual(Buffer.from(Command.toBinary(Command.fromBinary(bytes))), Buffer.from(bytes), operation.kind);
  }
});

test("the long poll of a claim travels beside the command, not in it", () => {
  const [command] = [new Samples(seededRandom(4))].map((samples) =>
    samples.command({ kind: "claimWork", workerId: "w", queues: ["q"], maxItems: 2 }),
  );
  assert.deepEqual(decodeCommand(encodeCommand(command!, 30_000)), { ok: true, value: { command, waitMs: 30_000 } });
});

test("absent fields of a spec get the documented defaults", () => {
  const decoded = decodeCommand(encode(asked("enqueueWork", { spec: { kind: "selfplay" } })));
  assert.ok(decoded.ok);
  assert.deepEqual(decoded.value.command.operation, { kind: "enqueueWork", spec: completeWorkSpec({ kind: "selfplay" }) });
  const { queue, maxAttempts, maxLosses, backoff } = completeWorkSpec({ kind: "selfplay" });
  assert.deepEqual(
    { queue, maxAttempts, maxLosses, backoff },
    {
      queue: "default",
      maxAttempts: 3,
      maxLosses: 10,
      backoff: { initialMs: 1_000, multiplier: 2, maxMs: 300_000, jitter: 0.2 },
    },
  );
});

test("absent fields of sessions, claims and locks get the documented defaults", () => {
  const operationOf = (kind: string, request: object) => {
    const decoded = decodeCommand(encode(asked(kind, request)));
    assert.ok(decoded.ok);
    return decoded.value.command.operation;
  };
  const session = operationOf("openSession", { nodeId: "n1" });
  assert.ok(session.kind === "openSession" && session.ttlMs === 15_000 && session.capabilities === null);
  const claimed = operationOf("claimWork", { workerId: "w" });
  assert.deepEqual(claimed, { kind: "claimWork", workerId: "w", queues: ["default"], maxItems: 1 });
  const lock = operationOf("acquireLock", { name: "training/hex8_2p" });
  assert.ok(lock.kind === "acquireLock" && lock.lockDelayMs === 15_000);
  const noDelay = operationOf("acquireLock", { name: "training/hex8_2p", lockDelayMs: 0 });
  assert.ok(noDelay.kind === "acquireLock" && noDelay.lockDelayMs === 0, "a delay of 0 is a choice, not an absence");
});

for (const [field, kind, request] of [
  ["spec.depends_on", "enqueueWork", { spec: { kind: "k", dependsOn: ["w1"] } }],
  ["spec.on_dependency_failure", "enqueueWork", { spec: { kind: "k", onDependencyFailure: "fail" } }],
  ["spec.concurrency_key", "enqueueWork", { spec: { kind: "k", concurrencyKey: "c" } }],
  ["spec.rate_key", "enqueueWork", { spec: { kind: "k", rateKey: "r" } }],
  ["spec.unique_ttl_ms", "enqueueWork", { spec: { kind: "k", uniqueTtlMs: 1 } }],
  ["spec.prefers", "enqueueWork", { spec: { kind: "k", prefers: [{ key: "a", operator: "exists", values: [] }] } }],
  ["items[1].rate_key", "submitJob", { kind: "j", items: [{ kind: "k" }, { kind: "k", rateKey: "r" }] }],
  ["gates", "setAlias", { model: "m", alias: "a", version: 1, gates: ["g"] }],
  ["mode", "acquireLock", { name: "l", mode: "shared" }],
  ["max_holders", "acquireLock", { name: "l", maxHolders: 2 }],
] as const) {
  test(`${field} is named by the protocol and not done yet: refused with UNIMPLEMENTED by name`, () => {
    const { reason, field: named, message } = refusalOf(encode(asked(kind, request)));
    assert.deepEqual({ reason, named }, { reason: "UNIMPLEMENTED", named: field });
    assert.match(message, new RegExp(field.replaceAll(/[[\]]/g, "\\$&")));
  });
}

test("an exclusive lock with one holder may be asked for by name", () => {
  assert.ok(decodeCommand(encode(asked("acquireLock", { name: "l", mode: "exclusive", maxHolders: 1 }))).ok);
});

for (const [field, kind, request] of [
  ["operation", undefined, {}],
  ["node_id", "openSession", {}],
  ["ttl_ms", "openSession", { nodeId: "n", ttlMs: 999 }],
  ["ttl_ms", "openSession", { nodeId: "n", ttlMs: 3_600_001 }],
  ["session_id", "closeSession", {}],
  ["spec", "enqueueWork", {}],
  ["spec.kind", "enqueueWork", { spec: { kind: "" } }],
  ["spec.kind", "enqueueWork", { spec: { kind: "a\u0000b" } }],
  ["spec.kind", "enqueueWork", { spec: { kind: "k".repeat(257) } }],
  ["spec.payload", "enqueueWork", { spec: { kind: "k", payload: "€".repeat(21_846) } }],
  ["spec.deadline_ms", "enqueueWork", { spec: { kind: "k", deadlineMs: 2 ** 50 } }],
  ["spec.backoff.jitter", "enqueueWork", { spec: { kind: "k", backoff: { jitter: 1.5 } } }],
  ["spec.backoff.multiplier", "enqueueWork", { spec: { kind: "k", backoff: { multiplier: Number.NaN } } }],
  [
    "spec.requires.labels[0].operator",
    "enqueueWork",
    { spec: { kind: "k", requires: { labels: [{ key: "a", operator: "like" }] } } },
  ],
  [
    "spec.requires.labels[0].values",
    "enqueueWork",
    { spec: { kind: "k", requires: { labels: [{ key: "a", operator: "gt", values: ["x"] }] } } },
  ],
  ["worker_id", "claimWork", { queues: ["q"] }],
  ["max_items", "claimWork", { ...claim, maxItems: 1_001 }],
  ["wait_ms", "claimWork", { ...claim, waitMs: 60_001 }],
  ["work_id", "startWork", { fencingToken: 7 }],
  ["fencing_token", "startWork", { workId: "w" }],
  ["progress", "progressWork", held],
  ["progress.percent", "progressWork", { ...held, progress: { percent: 101 } }],
  ["result", "completeWork", { ...held, result: "r".repeat(65_537) }],
  ["error.cause", "completeWork", { ...held, error: { cause: 9 } }],
  ["guards[0].lock", "completeWork", { ...held, guards: [{ lock: "", fencingToken: 1 }] }],
  ["guards[0].fencing_token", "completeWork", { ...held, guards: [{ lock: "l" }] }],
  ["fencing_token", "releaseWork", { workId: "w" }],
  ["work_id", "cancelWork", {}],
  ["work_id", "requeueWork", {}],
  ["node_id", "setNodeScheduling", { scheduling: 1 }],
  ["scheduling", "setNodeScheduling", { nodeId: "n" }],
  ["barrier", "forgetNode", { nodeId: "n" }],
  ["node_id", "readmitNode", {}],
  ["incarnation", "nodeDown", { nodeId: "n", observedBy: ["v"] }],
  ["observed_by", "nodeUp", { nodeId: "n", incarnation: { epoch: 1 } }],
  ["lost", "partitionSuspected", { observedBy: ["v"] }],
  ["lost", "partitionHealed", { lost: ["n"], observedBy: ["v"] }],
  ["level", "raiseFeatureLevel", {}],
  ["kind", "submitJob", { items: [{ kind: "k" }] }],
  ["items", "submitJob", { kind: "j" }],
  ["items[0].kind", "submitJob", { kind: "j", items: [{}] }],
  ["job_id", "cancelJob", {}],
  ["model", "registerVersion", {}],
  ["work_id", "registerVersion", { model: "m", fencingToken: 3 }],
  ["fencing_token", "registerVersion", { model: "m", workId: "w" }],
  ["sha256", "commitVersion", { model: "m", number: 1, sha256: "AB".repeat(32) }],
  ["number", "commitVersion", { model: "m", sha256: "ab".repeat(32) }],
  [
    "metrics.elo",
    "commitVersion",
    { model: "m", number: 1, sha256: "ab".repeat(32), metrics: { elo: Number.POSITIVE_INFINITY } },
  ],
  ["alias", "setAlias", { model: "m", version: 1 }],
  ["version", "setAlias", { model: "m", alias: "a" }],
  ["name", "acquireLock", {}],
  ["name", "releaseLock", { fencingToken: 1 }],
  ["fencing_token", "releaseLock", { name: "l" }],
  ["name", "forceReleaseLock", {}],
  ["name", "cancelAcquire", {}],
  ["session_ids", "renewSessions", {}],
] as const) {
  test(`${kind ?? "a command without operation"} ${JSON.stringify(request).slice(0, 60)}: INVALID_ARGUMENT names ${field}`, () => {
    const operation: Operation = kind === undefined ? { oneofKind: undefined } : asked(kind, request);
    const { reason, field: named } = refusalOf(encode(operation));
    assert.deepEqual({ reason, named }, { reason: "INVALID_ARGUMENT", named: field });
  });
}

test("a sequence needs a session and a session needs a sequence", () => {
  const start = asked("startWork", held);
  assert.equal(refusalOf(encode(start, { sequence: 3 })).field, "session_id");
  assert.equal(refusalOf(encode(start, { sessionId: "s" })).field, "sequence");
  assert.equal(
    refusalOf(encode(start, { sessionId: "s", sequence: 3, firstUnackedSequence: 4 })).field,
    "first_unacked_sequence",
  );
});

test("closing names no other session than the command's own", () => {
  const other = asked("closeSession", { sessionId: "s2" });
  assert.equal(refusalOf(encode(other, { sessionId: "s1", sequence: 1 })).field, "session_id");
});

test("numbers beyond 2^53 − 1 are refused, never rounded (catalogue 38)", () => {
  const bytes = Buffer.from([0x0a, 0x01, 0x73, 0x10, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]);
  assert.match(refusalOf(bytes).message, /2\^53/);
});

test("unknown fields and unknown operations are refused, never ignored", () => {
  const known = encode(asked("startWork", held));
  assert.equal(refusalOf(Buffer.concat([known, Buffer.from([0xfa, 0x06, 0x00])])).reason, "INVALID_ARGUMENT");
  const inside = Buffer.from([0xb2, 0x01, 0x02, 0xc0, 0x3e]);
  assert.match(refusalOf(inside).message, /field|ends|leaves/);
});

test("invalid UTF-8 is refused, and a real U+FFFD is not (catalogue 36)", () => {
  const good = encodeCommand({
    sessionId: null,
    sequence: null,
    firstUnackedSequence: 0 as never,
    operation: { kind: "requeueWork", workId: WorkId("\uFFFDx") },
  });
  assert.ok(decodeCommand(good).ok);
  const bad = Buffer.from(good);
  bad[bad.indexOf(0xef)] = 0xff;
  assert.match(refusalOf(bad).message, /UTF-8/);
});

test("a key that would change an object's prototype is refused", () => {
  const bytes = encode(
    asked("submitJob", { kind: "j", items: [{ kind: "k" }], labels: JSON.parse('{"__proto__":"x"}') as object }),
  );
  const decoded = decodeCommand(bytes);
  assert.ok(!decoded.ok || Object.keys(decoded.value.command.operation).length > 0);
  const raw = Buffer.from(encode(asked("requeueWork", { workId: "__proto__" })));
  assert.match(refusalOf(raw).message, /__proto__/);
});

test("every truncation and 10,000 damaged or random commands are refused or decoded, never thrown", () => {
  const random = seededRandom(20_261_121);
  const samples = new Samples(random);
  const valid = samples.operations().map((operation) => encodeCommand(samples.command(operation)));
  for (const bytes of valid) {
    for (let end = 0; end < bytes.length; end++) assert.ok(typeof decodeCommand(bytes.subarray(0, end)).ok === "boolean");
  }
  let refused = 0;
  for (let i = 0; i < 10_000; i++) {
    const bytes = i % 2 === 0 ? Buffer.from(samples.one(valid)) : Buffer.alloc(samples.int(80));
    const flips = i % 2 === 0 ? samples.int(4, 1) : bytes.length;
    for (let flip = 0; flip < flips; flip++) bytes[samples.int(bytes.length - 1)] = samples.int(255);
    const first = decodeCommand(bytes);
    assert.deepEqual(first, decodeCommand(bytes), "the same bytes must give every voter the same");
    const admitted = admitCommand(bytes, "p");
    if (!first.ok) refused++;
    else if (admitted.ok) assert.notEqual(first.value.command.operation.kind, "renewSessions");
  }
  assert.ok(refused > 5_000, `only ${refused} of 10,000 were refused`);
});

test("a door refuses what only a leader writes", () => {
  for (const kind of ["renewSessions", "advanceClock"]) {
    const bytes = encode(asked(kind, kind === "renewSessions" ? { sessionIds: ["s"] } : {}));
    assert.ok(decodeCommand(bytes).ok, "a voter decodes it from the log");
    const admitted = admitCommand(bytes, "mallory");
    assert.equal(admitted.ok ? "admitted" : admitted.refusal.reason, "PERMISSION_DENIED");
  }
});

test("a leader's operation cannot hide behind a wrong wire type, a length or a second operation", () => {
  const advance = Buffer.from([0xea, 0x03, 0x00]);
  // session_id sent as a varint: the generated reader would take the number for a length.
  const shifted = Buffer.concat([Buffer.from([0x08, 0x00]), encode(asked("startWork", held))]);
  assert.equal(decodeCommand(shifted).ok, false);
  assert.equal(admitCommand(shifted, "mallory").ok, false);
  // A nested text that claims to be longer than the operation around it.
  const overrun = Buffer.concat([Buffer.from([0xda, 0x01, 0x02, 0x0a, 0x20]), advance]);
  assert.equal(decodeCommand(overrun).ok, false);
  const second = Buffer.concat([encode(asked("startWork", held)), encode(asked("startWork", held))]);
  assert.match(refusalOf(second).message, /one operation/);
});

test("the authenticated principal replaces what a client says about itself", () => {
  const lie = encode(asked("openSession", { nodeId: "n1", principal: "root" }));
  const admitted = admitCommand(lie, "worker-7");
  assert.ok(admitted.ok);
  const decoded = decodeCommand(admitted.value);
  assert.ok(decoded.ok && decoded.value.command.operation.kind === "openSession");
  assert.equal(decoded.value.command.operation.principal, "worker-7");
});

test("limits and defaults are the documented numbers", () => {
  assert.equal(codecLimits.maxPayloadBytes, 65_536);
  assert.equal(codecLimits.maxItemsPerJob, 1_000);
  assert.equal(commandDefaults.lockDelayMs, 15_000);
});

test("a progress report in an unusual form means what the usual one means", () => {
  const usual = Command.toBinary(
    Command.create({
      sessionId: "s-1",
      sequence: 9,
      operation: { oneofKind: "progressWork", progressWork: { ...held, progress: { percent: 12.5, step: "a", message: "b" } } },
    }),
  );
  const body = usual.subarray(usual.length - 22);
  assert.equal(usual[usual.length - 23], 22, "the body of the report is the last of the command");
  const report = (fields: readonly Uint8Array[]): Uint8Array => {
    const bytes = Buffer.concat(fields);
    return Buffer.concat([usual.subarray(0, usual.length - 23), Buffer.from([bytes.length]), bytes]);
  };
  const [id, token, progress] = [body.subarray(0, 3), body.subarray(3, 5), body.subarray(5)];
  const expected = decodeCommand(usual);
  assert.ok(expected.ok);
  for (const fields of [
    [id, token, progress],
    [progress, id, token],
    [token, progress, id],
    [id, id, token, progress],
  ]) {
    assert.deepEqual(decodeCommand(report(fields)), expected);
  }
  assert.equal(refusalOf(report([id, token])).reason, "INVALID_ARGUMENT");
  assert.equal(refusalOf(report([id, token, progress, Buffer.from([0x20, 0x01])])).reason, "INVALID_ARGUMENT");
});
