import assert from "node:assert/strict";
import { test } from "node:test";
import { ClusterTimeMs, LogIndex, NodeId, type Random, seededRandom, Sequence, type SessionId, WallTimeMs } from "#kernel";
import {
  type Applied,
  type Capabilities,
  type Command,
  createStateMachine,
  emptyCapabilities,
  type EntryContext,
  type Event,
  type MachineLimits,
  type Operation,
  restoreStateMachine,
  type StateMachine,
  type WorkSpec,
} from "#statemachine";
import { defaultWorkSpec, wallStart } from "./world.ts";

/** Small limits, so that a few hundred entries reach all of them. */
const limits: Partial<MachineLimits> = {
  maxQueuedItems: 40,
  maxSessions: 6,
  maxRepliesPerSession: 12,
  maxWaitersPerLock: 3,
  maxTimersPerEntry: 3,
  cancelGraceMs: 2_000,
};
const entriesPerRun = 400;
const seeds = Array.from({ length: 40 }, (_, seed) => seed + 1);

interface LogEntry {
  readonly context: EntryContext;
  readonly input: Command | "leader" | "skip";
}

type Output = Applied | readonly Event[];

function step(machine: StateMachine, { context, input }: LogEntry): Output {
  if (input === "leader") return machine.leaderChanged(context, 1_500);
  if (input === "skip") return machine.skip(context);
  return machine.apply(input, context);
}

/** Chooses entries that make sense for what the machine holds, mixed with some that do not. */
class Generator {
  readonly #random: Random;
  readonly #machine: StateMachine;
  readonly #sequences = new Map<SessionId, number>();
  #now = 0;
  #index = 0;

  constructor(seed: number, machine: StateMachine) {
    this.#random = seededRandom(seed);
    this.#machine = machine;
  }

  next(): LogEntry {
    const dice = this.#random();
    this.#now += dice < 0.1 ? this.#upTo(4_000) : this.#upTo(60);
    this.#index += 1;
    const context = {
      index: LogIndex(this.#index),
      clusterTimeMs: ClusterTimeMs(this.#now),
      wallTimeMs: WallTimeMs(wallStart + this.#now),
    };
    if (dice > 0.99) return { context, input: "leader" };
    if (dice > 0.97) return { context, input: "skip" };
    return { context, input: this.#command() };
  }

  #command(): Command {
    const operation = this.#operation();
    const session = this.#one(this.#machine.read().listSessions())?.sessionId ?? null;
    const isLoose = operation.kind === "openSession" || operation.kind === "renewSessions" || operation.kind === "advanceClock";
    if (session === null || isLoose) return { sessionId: null, sequence: null, firstUnackedSequence: Sequence(0), operation };
    const last = this.#sequences.get(session) ?? 0;
    const isRepeat = last > 0 && this.#random() < 0.1;
    const sequence = isRepeat ? 1 + this.#upTo(last - 1) : last + 1;
    if (!isRepeat) this.#sequences.set(session, sequence);
    const firstUnacked = Math.min(sequence, Math.max(0, last - this.#upTo(15)));
    return { sessionId: session, sequence: Sequence(sequence), firstUnackedSequence: Sequence(firstUnacked), operation };
  }

  #operation(): Operation {
    const make = this.#one([
      () => this.#openSession(),
      () => this.#renew(),
      () => this.#enqueue(),
      () => this.#enqueue(),
      () => this.#claim(),
      () => this.#claim(),
      () => this.#onClaimed(),
      () => this.#onClaimed(),
      () => this.#onClaimed(),
      () => this.#onAnyWork(),
      () => this.#onJobs(),
      () => this.#onModels(),
      () => this.#onModels(),
      () => this.#onLocks(),
      () => this.#onLocks(),
      () => this.#onNodes(),
      (): Operation => (this.#random() < 0.2 ? { kind: "closeSession" } : { kind: "advanceClock" }),
    ])!;
    return make();
  }

  #openSession(): Operation {
    const capabilities: Capabilities = { ...emptyCapabilities, gpuCount: 2, gpuMemoryMib: 100, labels: { zone: "a" } };
    return {
      kind: "openSession",
      nodeId: NodeId(`n${this.#upTo(3)}`),
      incarnation: this.#upTo(5),
      principal: "p",
      purpose: "worker",
      ttlMs: 1_000 + this.#upTo(5_000),
      capabilities: this.#random() < 0.8 ? capabilities : null,
    };
  }

  #renew(): Operation {
    const sessionIds = this.#machine
      .read()
      .listSessions()
      .map(({ sessionId }) => sessionId);
    return { kind: "renewSessions", sessionIds: sessionIds.filter(() => this.#random() < 0.8) };
  }

  #spec(): WorkSpec {
    const maybe = (n: number): number => (this.#random() < 0.3 ? n : 0);
    const gpus = { gpuCount: this.#upTo(2), gpuMemoryMib: this.#upTo(80), cpu: 0, memoryMib: 0, diskMib: 0 };
    return {
      ...defaultWorkSpec,
      queue: `q${this.#upTo(1)}`,
      priority: this.#upTo(2),
      runAtMs: maybe(wallStart + this.#now + this.#upTo(3_000)),
      deadlineMs: maybe(5_000),
      scheduleToStartTimeoutMs: maybe(2_000),
      startToCloseTimeoutMs: maybe(1_000),
      heartbeatTimeoutMs: maybe(500),
      maxAttempts: 1 + this.#upTo(2),
      maxLosses: this.#upTo(2),
      backoff: { initialMs: 100, multiplier: 2, maxMs: 1_000, jitter: 0.5 },
      uniqueKey: this.#random() < 0.3 ? `k${this.#upTo(4)}` : "",
      requires: this.#random() < 0.5 ? { ...gpus, gpuModels: [], cudaMin: 0, labels: [] } : null,
      ttlAfterFinishedMs: this.#random() < 0.7 ? 1_500 : 0,
    };
  }

  #enqueue(): Operation {
    return { kind: "enqueueWork", spec: this.#spec() };
  }

  #claim(): Operation {
    return { kind: "claimWork", workerId: "w", queues: ["q0", "q1"], maxItems: 1 + this.#upTo(3) };
  }

  #onClaimed(): Operation {
    const item = this.#one(
      this.#machine
        .read()
        .listWork({ limit: 100 })
        .filter(({ claim }) => claim !== null),
    );
    const at = { workId: (item?.workId ?? "w-0") as never, fencingToken: (item?.claim?.fencingToken ?? 0) as never };
    const cause = this.#random() < 0.3 ? ("cancelled" as const) : ("app" as const);
    const error = { code: "E", message: "", retryable: this.#random() < 0.7, cause };
    return this.#one<Operation>([
      { kind: "startWork", ...at },
      { kind: "progressWork", ...at, progress: { percent: this.#upTo(1_000) / 10, step: "", message: "" } },
      { kind: "completeWork", ...at, result: "ok", error: null, guards: [] },
      { kind: "completeWork", ...at, result: "", error, guards: [] },
      { kind: "releaseWork", ...at, reason: "" },
    ])!;
  }

  #onAnyWork(): Operation {
    const workId = (this.#one(this.#machine.read().listWork({ limit: 100 }))?.workId ?? "w-0") as never;
    if (this.#random() < 0.5) return { kind: "cancelWork", workId, reason: "", by: "x" };
    return { kind: "requeueWork", workId };
  }

  #onJobs(): Operation {
    const jobId = (this.#one(this.#machine.read().listJobs({ limit: 10 }))?.jobId ?? "j-0") as never;
    if (this.#random() < 0.3) return { kind: "cancelJob", jobId, reason: "", by: "x" };
    const items = Array.from({ length: 1 + this.#upTo(4) }, () => this.#spec());
    return { kind: "submitJob", jobKind: "k", labels: {}, items, createdBy: "x" };
  }

  #onModels(): Operation {
    const model = `m${this.#upTo(1)}`;
    const number = 1 + this.#upTo(5);
    const item = this.#one(
      this.#machine
        .read()
        .listWork({ limit: 100 })
        .filter(({ claim }) => claim !== null),
    );
    const made = this.#random() < 0.5 ? item : undefined;
    const about = { sourceUri: "", format: "", gitCommit: "", tags: {}, configKey: "", description: "" };
    return this.#one<Operation>([
      {
        kind: "registerVersion",
        model,
        ...about,
        workId: made?.workId ?? null,
        fencingToken: made?.claim?.fencingToken ?? null,
        parentVersion: 0,
        guards: [],
      },
      {
        kind: "commitVersion",
        model,
        number,
        sha256: String(number).repeat(64),
        sizeBytes: 1,
        metrics: { elo: 0.1 },
        guards: [],
      },
      {
        kind: "setAlias",
        model,
        alias: "canonical",
        version: number,
        expectedAliasRevision: null,
        reason: "",
        by: "x",
        guards: [],
      },
    ])!;
  }

  #onLocks(): Operation {
    const lock = this.#one(this.#machine.read().listLocks());
    const name = lock?.name ?? "l0";
    const waitTimeoutMs = this.#random() < 0.5 ? 0 : this.#upTo(1_000);
    const acquire: Operation = {
      kind: "acquireLock",
      name: `l${this.#upTo(2)}`,
      wait: this.#random() < 0.8,
      waitTimeoutMs,
      lockDelayMs: this.#upTo(1) * 700,
      purpose: "",
    };
    return this.#one<Operation>([
      acquire,
      acquire,
      { kind: "releaseLock", name, fencingToken: (lock?.holder?.fencingToken ?? 0) as never },
      { kind: "cancelAcquire", name },
      { kind: "forceReleaseLock", name, reason: "", by: "x" },
    ])!;
  }

  #onNodes(): Operation {
    const nodeId = NodeId(`n${this.#upTo(3)}`);
    const incarnation = { epoch: 1 + this.#upTo(this.#machine.revision / 100), counter: this.#upTo(3) };
    const observedBy = [NodeId("v1"), NodeId("v2")];
    return this.#one<Operation>([
      { kind: "raiseFeatureLevel", level: 1 },
      { kind: "nodeDown", nodeId, incarnation, observedBy },
      { kind: "nodeDown", nodeId, incarnation, observedBy },
      { kind: "nodeUp", nodeId, incarnation, observedBy },
      { kind: "setNodeScheduling", nodeId, scheduling: "OPEN", reason: "", by: "x" },
      { kind: "setNodeScheduling", nodeId, scheduling: this.#one(["CORDONED", "DRAINING"] as const)!, reason: "", by: "x" },
      { kind: "forgetNode", nodeId, barrier: { epoch: 100 + this.#upTo(2), counter: 0 }, reason: "", by: "x" },
      { kind: "readmitNode", nodeId, reason: "", by: "x" },
      { kind: "partitionSuspected", lost: [nodeId, NodeId("n9")], observedBy },
      { kind: "partitionHealed", observedBy },
    ])!;
  }

  #upTo(n: number): number {
    return Math.floor(this.#random() * (n + 1));
  }

  #one<T>(of: readonly T[]): T | undefined {
    return of[Math.floor(this.#random() * of.length)];
  }
}

function run(seed: number): {
  readonly log: readonly LogEntry[];
  readonly digests: readonly string[];
  readonly outputs: readonly Output[];
} {
  const machine = createStateMachine(limits);
  const generator = new Generator(seed, machine);
  const log: LogEntry[] = [];
  const digests: string[] = [];
  const outputs: Output[] = [];
  const kinds = new Set<string>();
  for (let n = 0; n < entriesPerRun; n += 1) {
    const entry = generator.next();
    log.push(entry);
    const output = step(machine, entry);
    outputs.push(output);
    digests.push(machine.digest());
    if ("decision" in output)
      kinds.add(output.decision.outcome.ok ? output.decision.outcome.value.kind : output.decision.outcome.refusal.reason);
  }
  assert.ok(kinds.size >= 8, `seed ${seed} reaches only ${[...kinds].join(" ")}`);
  return { log, digests, outputs };
}

test("state machine safety: the same log gives the same replies, events and digest after every entry", () => {
  for (const seed of seeds.slice(0, 10)) {
    const { log, digests, outputs } = run(seed);
    const other = createStateMachine(limits);
    for (const [at, entry] of log.entries()) {
      assert.deepEqual(step(other, entry), outputs[at], `seed ${seed} entry ${at + 1}`);
      assert.equal(other.digest(), digests[at], `seed ${seed} entry ${at + 1}`);
    }
  }
});

test("a machine restored from a snapshot at any entry goes on exactly like the one that was saved", () => {
  for (const seed of seeds) {
    const { log, digests, outputs } = run(seed);
    const cut = 1 + Math.floor(seededRandom(seed + 1_000)() * (entriesPerRun - 1));
    const saved = createStateMachine(limits);
    for (const entry of log.slice(0, cut)) step(saved, entry);
    const documents = [...saved.snapshot()];
    const restored = restoreStateMachine(documents, limits);
    assert.deepEqual([...restored.snapshot()], documents, `seed ${seed} cut ${cut}`);
    assert.deepEqual(restored.nextDeadlines(), saved.nextDeadlines());
    for (const [at, entry] of log.entries()) {
      if (at < cut) continue;
      assert.deepEqual(step(restored, entry), outputs[at], `seed ${seed} cut ${cut} entry ${at + 1}`);
      assert.equal(restored.digest(), digests[at], `seed ${seed} cut ${cut} entry ${at + 1}`);
    }
  }
});

test("a snapshot that is walked while entries are applied shows the moment at which it was taken, and so does a list of objects", () => {
  for (const seed of seeds) {
    const { log, digests, outputs } = run(seed);
    const cut = 50 + Math.floor(seededRandom(seed + 2_000)() * (entriesPerRun - 100));
    const machine = createStateMachine(limits);
    for (const entry of log.slice(0, cut)) step(machine, entry);
    const documents = [...machine.snapshot()];
    const objects = [...machine.read().objects([], "")];
    const walk = machine.snapshot()[Symbol.iterator]();
    const list = machine.read().objects([], "")[Symbol.iterator]();
    const seen: string[] = [];
    const listed: unknown[] = [];
    for (const [at, entry] of log.entries()) {
      if (at < cut) continue;
      // Another snapshot begins, is never finished, and disturbs nobody.
      if (at % 20 === 0) machine.snapshot()[Symbol.iterator]().next();
      assert.deepEqual(step(machine, entry), outputs[at], `seed ${seed} entry ${at + 1}`);
      assert.equal(machine.digest(), digests[at]);
      const { value } = walk.next();
      if (value !== undefined) seen.push(value);
      const next = list.next();
      if (next.done !== true) listed.push(next.value);
    }
    for (let next = walk.next(); next.done !== true; next = walk.next()) seen.push(next.value);
    for (let next = list.next(); next.done !== true; next = list.next()) listed.push(next.value);
    assert.deepEqual(seen, documents, `seed ${seed} cut ${cut}`);
    assert.deepEqual(listed, objects, `seed ${seed} cut ${cut}`);
    assert.equal(restoreStateMachine(seen, limits).digest(), digests[cut - 1]);
  }
});

test("the digest that is kept with every change is the one that all objects add up to", () => {
  for (const seed of seeds.slice(0, 10)) {
    const machine = createStateMachine(limits);
    const generator = new Generator(seed, machine);
    for (let n = 1; n <= entriesPerRun; n += 1) {
      step(machine, generator.next());
      if (n % 7 === 0) assert.equal(restoreStateMachine(machine.snapshot(), limits).digest(), machine.digest());
    }
  }
});

test("an event carries the object exactly as a read shows it, and following events from the start gives the whole state", () => {
  for (const seed of seeds.slice(0, 10)) {
    const machine = createStateMachine(limits);
    const generator = new Generator(seed, machine);
    const followed = new Map<string, unknown>();
    for (let n = 0; n < entriesPerRun; n += 1) {
      const output = step(machine, generator.next());
      for (const { kind, key, object, revision } of "decision" in output ? output.events : output) {
        assert.equal(revision, n + 1);
        if (object === null) followed.delete(`${kind} ${key}`);
        else followed.set(`${kind} ${key}`, object.value);
      }
    }
    for (const { kind, key, value } of machine.read().objects([], "")) {
      const last = followed.get(`${kind} ${key}`);
      // Renewals move a session's deadline without an event.
      if (kind === "session") assert.notEqual(last, undefined);
      else assert.equal(last, value, `seed ${seed} ${kind} ${key}`);
      followed.delete(`${kind} ${key}`);
    }
    assert.equal(followed.size, 0, `seed ${seed}: ${[...followed.keys()].join(" ")}`);
  }
});

test("counts and reservations follow from the objects alone", () => {
  for (const seed of seeds.slice(0, 10)) {
    const machine = createStateMachine(limits);
    const generator = new Generator(seed, machine);
    const tokens = new Map<string, number>();
    for (let n = 0; n < entriesPerRun; n += 1) {
      step(machine, generator.next());
      const items = machine.read().listWork({ limit: 1_000 });
      const pending = items.filter(({ state }) => state === "PENDING").length;
      assert.equal(machine.read().counts().work.PENDING, pending, `seed ${seed} entry ${n + 1}`);
      assert.equal(
        machine.read().counts().locksHeld,
        machine
          .read()
          .listLocks()
          .filter(({ holder }) => holder !== null).length,
      );
      for (const session of machine.read().listSessions()) {
        const held = items.filter(({ claim }) => claim?.sessionId === session.sessionId);
        const gpus = held.reduce((sum, { spec }) => sum + (spec.requires?.gpuCount ?? 0), 0);
        assert.ok(gpus <= (session.capabilities?.gpuCount ?? 0), `seed ${seed}: ${session.sessionId} holds ${gpus} GPUs`);
      }
      for (const lock of machine.read().listLocks()) {
        assert.ok(lock.lastToken >= (tokens.get(lock.name) ?? 0), `token of ${lock.name} fell`);
        tokens.set(lock.name, lock.lastToken);
      }
    }
  }
});

test("a snapshot shows the moment at which it was asked for, whatever is applied while it is read", () => {
  const { log } = run(7);
  const machine = createStateMachine(limits);
  for (const entry of log.slice(0, 200)) step(machine, entry);
  const expected = [...machine.snapshot()];
  const lazily = machine.snapshot()[Symbol.iterator]();
  const read: string[] = [];
  for (const entry of log.slice(200)) {
    step(machine, entry);
    const next = lazily.next();
    if (next.done !== true) read.push(next.value);
  }
  for (let next = lazily.next(); next.done !== true; next = lazily.next()) read.push(next.value);
  assert.deepEqual(read, expected);
});

test("a snapshot that lost or changed a document does not come to life", () => {
  const { log } = run(3);
  const machine = createStateMachine(limits);
  for (const entry of log.slice(0, 300)) step(machine, entry);
  const documents = [...machine.snapshot()];
  assert.throws(() => restoreStateMachine([], limits), /0 documents/);
  assert.throws(() => restoreStateMachine(documents.slice(1), limits), /header/);
  assert.throws(() => restoreStateMachine(documents.slice(0, -1), limits), /digest/);
  const changed = documents.map((text) => text.replace(/"format":\d/, '"format":4'));
  assert.throws(() => restoreStateMachine(changed, limits), /format 4/);
});
