import {
  type ClusterTimeMs,
  JobId,
  type LogIndex,
  NodeId,
  type Random,
  type Sequence,
  SessionId,
  type WallTimeMs,
  WorkId,
  type Incarnation,
} from "#kernel";
import type {
  Capabilities,
  ClusterNode,
  Command,
  Guard,
  Job,
  Lock,
  Model,
  ModelAlias,
  ModelVersion,
  Operation,
  Partition,
  Progress,
  Requirements,
  Resources,
  Session,
  WorkError,
  WorkItem,
  WorkSpec,
} from "#statemachine";

/** Random domain values for round trips. Every optional part is sometimes there; every number stays in its field's range. */
export class Samples {
  readonly #random: Random;
  constructor(random: Random) {
    this.#random = random;
  }

  int(most: number, least = 0): number {
    return least + Math.floor(this.#random() * (most - least + 1));
  }
  index(): LogIndex {
    return (1 + this.int(3) * 2 ** 50 + this.int(1_000_000)) as LogIndex;
  }
  time(): ClusterTimeMs {
    return (1 + this.int(1e12)) as ClusterTimeMs;
  }
  wall(): WallTimeMs {
    return (1 + this.int(2e12)) as WallTimeMs;
  }
  flag(): boolean {
    return this.#random() < 0.5;
  }
  one<T>(of: readonly T[]): T {
    return of[this.int(of.length - 1)]!;
  }
  text(least = 0): string {
    const letters = this.one(["abcxyz_-/.", "äöü€", "日本語", "👩‍🚀\uFFFD‮", "a"]);
    const length = this.int(this.one([3, 20, 60]), least);
    return Array.from({ length }, () => this.one(Array.from(letters))).join("");
  }
  name(): string {
    return `n${this.text()}`;
  }
  list<T>(make: () => T, most = 3): T[] {
    return Array.from({ length: this.int(most) }, make);
  }
  map<T>(make: () => T): Record<string, T> {
    return Object.fromEntries(this.list(() => [this.name(), make()] as const));
  }
  maybe<T>(make: () => T): T | null {
    return this.flag() ? make() : null;
  }

  resources(): Resources {
    return {
      gpuCount: this.int(8),
      gpuMemoryMib: this.int(81_920),
      cpu: this.int(128),
      memoryMib: this.int(1e6),
      diskMib: this.int(0xffff_ffff),
    };
  }
  capabilities(): Capabilities {
    return { ...this.resources(), gpuModel: this.text(), cuda: this.int(13_000), labels: this.map(() => this.text()) };
  }
  requirements(): Requirements {
    return {
      ...this.resources(),
      gpuModels: this.list(() => this.name()),
      cudaMin: this.int(13_000),
      labels: [
        { key: this.name(), operator: "in", values: [this.text()] },
        { key: this.name(), operator: "exists", values: [] },
        { key: this.name(), operator: "gt", values: ["12.5"] },
      ],
    };
  }
  error(): WorkError {
    return {
      code: this.text(),
      message: this.text(),
      retryable: this.flag(),
      cause: this.one(["app", "timeout", "lost", "preempted", "cancelled"]),
    };
  }
  progress(): Progress {
    return { percent: this.#random() * 100, step: this.text(), message: this.text() };
  }
  spec(jobId: JobId | null = null): WorkSpec {
    return {
      queue: this.name(),
      kind: this.name(),
      payload: this.text(),
      payloadUri: this.text(),
      priority: this.int(2_000) - 1_000,
      runAtMs: this.one([0, 1_795_000_000_000]),
      deadlineMs: this.int(1e9),
      scheduleToStartTimeoutMs: this.int(1e9),
      startToCloseTimeoutMs: this.int(1e9),
      heartbeatTimeoutMs: this.int(1e9),
      maxAttempts: this.int(100, 1),
      maxLosses: this.int(100, 1),
      backoff: { initialMs: this.int(1e6, 1), multiplier: 1 + this.#random(), maxMs: this.int(1e6, 1), jitter: this.#random() },
      uniqueKey: this.text(),
      requires: this.maybe(() => this.requirements()),
      jobId,
      ttlAfterFinishedMs: this.int(1e9),
      createdBy: this.text(),
    };
  }
  guards(): Guard[] {
    return this.list(() => ({ lock: this.name(), fencingToken: this.index() }));
  }
  versioned() {
    return { createRevision: this.index(), modRevision: this.index(), version: this.int(1e6, 1) };
  }

  workItem(): WorkItem {
    const claim = () => ({
      workerId: this.name(),
      nodeId: NodeId(this.name()),
      incarnation: this.int(1e12),
      sessionId: SessionId(this.name()),
      fencingToken: this.index(),
      claimedAtMs: this.time(),
      startedAtMs: this.maybe(() => this.time()),
      lastHeartbeatAtMs: this.time(),
    });
    return {
      workId: WorkId(this.name()),
      spec: this.spec(this.maybe(() => JobId(this.name()))),
      state: this.one(["PENDING", "CLAIMED", "RUNNING", "SUCCEEDED", "FAILED", "DEAD", "CANCELLED"]),
      attempt: this.int(10),
      lossCount: this.int(10),
      epoch: this.int(10),
      availableAtMs: this.wall(),
      claim: this.maybe(claim),
      progress: this.maybe(() => this.progress()),
      cancelRequested: this.maybe(() => ({ atMs: this.time(), by: this.text(), reason: this.text() })),
      result: this.text(),
      lastError: this.maybe(() => this.error()),
      attempts: this.list(() => ({
        attempt: this.int(10),
        workerId: this.name(),
        nodeId: NodeId(this.name()),
        fencingToken: this.index(),
        claimedAtMs: this.time(),
        endedAtMs: this.time(),
        outcome: this.one(["succeeded", "failed", "lost", "released", "cancelled", "timeout"]),
        error: this.maybe(() => this.error()),
      })),
      enqueuedAtMs: this.time(),
      enqueuedWallMs: this.wall(),
      finishedAtMs: this.maybe(() => this.time()),
      ...this.versioned(),
    };
  }
  job(): Job {
    return {
      jobId: JobId(this.name()),
      kind: this.name(),
      labels: this.map(() => this.text()),
      phase: this.one(["PENDING", "RUNNING", "SUCCEEDED", "FAILED", "CANCELLING", "CANCELLED"]),
      counts: {
        PENDING: this.int(9),
        CLAIMED: 0,
        RUNNING: this.int(9),
        SUCCEEDED: 1,
        FAILED: 0,
        DEAD: 0,
        CANCELLED: this.int(9),
      },
      percent: this.#random() * 100,
      createdAtMs: this.time(),
      createdWallMs: this.wall(),
      finishedAtMs: this.maybe(() => this.time()),
      cancelRequested: this.flag(),
      createdBy: this.text(),
      ...this.versioned(),
    };
  }
  alias(alias: string): ModelAlias {
    return {
      alias,
      version: this.int(99, 1),
      revision: this.index(),
      reason: this.text(),
      setBy: this.text(),
      setAtMs: this.time(),
      setWallMs: this.wall(),
    };
  }
  model(): Model {
    return {
      name: this.name(),
      configKey: this.text(),
      description: this.text(),
      lastVersion: this.int(99),
      aliases: { canonical: this.alias("canonical"), previous: this.alias("previous") },
      history: this.list(() => this.alias(this.name())),
      ...this.versioned(),
    };
  }
  modelVersion(): ModelVersion {
    return {
      model: this.name(),
      number: this.int(99, 1),
      state: this.one(["UPLOADING", "READY", "ABORTED", "ARCHIVED", "QUARANTINED", "DELETED"]),
      sourceUri: this.text(),
      sha256: this.one(["", "ab".repeat(32)]),
      sizeBytes: this.int(2 ** 52),
      format: this.text(),
      workId: this.maybe(() => WorkId(this.name())),
      fencingToken: this.maybe(() => this.index()),
      parentVersion: this.int(9),
      gitCommit: this.text(),
      metrics: this.map(() => this.#random() * 2 - 1),
      tags: this.map(() => this.text()),
      sessionId: this.maybe(() => SessionId(this.name())),
      registeredAtMs: this.time(),
      registeredWallMs: this.wall(),
      committedAtMs: this.maybe(() => this.time()),
      ...this.versioned(),
    };
  }
  lock(): Lock {
    const party = () => ({ sessionId: SessionId(this.name()), nodeId: NodeId(this.name()) });
    return {
      name: this.name(),
      state: this.one(["FREE", "HELD", "DELAY"]),
      holder: this.maybe(() => ({ ...party(), fencingToken: this.index(), acquiredAtMs: this.time() })),
      waiters: this.list(() => ({
        ...party(),
        sequence: this.index() as number as Sequence,
        enqueuedAtMs: this.time(),
        waitTimeoutMs: this.int(1e6),
        lockDelayMs: this.int(1e6),
        purpose: this.text(),
      })),
      lockDelayMs: this.int(1e6),
      delayUntilMs: this.maybe(() => this.time()),
      purpose: this.text(),
      lastToken: this.index(),
      ...this.versioned(),
    };
  }
  session(): Session {
    return {
      sessionId: SessionId(this.name()),
      nodeId: NodeId(this.name()),
      incarnation: this.int(1e12),
      principal: this.text(),
      purpose: this.text(),
      state: this.one(["OPEN", "SUSPECT"]),
      ttlMs: this.int(1e6),
      deadlineMs: this.time(),
      capabilities: this.maybe(() => this.capabilities()),
      openedAtMs: this.time(),
      openedWallMs: this.wall(),
      ...this.versioned(),
    };
  }

  incarnation(): Incarnation {
    return { epoch: this.int(0xffff_ffff), counter: this.int(0xffff_ffff) };
  }
  nodes(): NodeId[] {
    return [NodeId(this.name()), ...this.list(() => NodeId(this.name()))];
  }
  node(): ClusterNode {
    const event = () => ({
      name: this.one([
        "NODE_DOWN",
        "NODE_RECOVERED",
        "NODE_EVICTED",
        "NODE_READMITTED",
        "NODE_CORDONED",
        "NODE_UNCORDONED",
        "NODE_DRAINING",
      ] as const),
      revision: this.index(),
      atMs: this.time(),
      wallMs: this.wall(),
      reason: this.text(),
      by: this.text(),
      observedBy: this.nodes(),
    });
    return {
      nodeId: NodeId(this.name()),
      state: this.one(["UP", "DOWN", "EVICTED"]),
      scheduling: this.one(["OPEN", "CORDONED", "DRAINING"]),
      incarnation: this.incarnation(),
      refuted: this.maybe(() => this.incarnation()),
      sinceMs: this.time(),
      sinceWallMs: this.wall(),
      lastEvent: this.maybe(event),
      ...this.versioned(),
    };
  }
  partition(): Partition {
    return {
      state: this.one(["SUSPECTED", "HEALED"]),
      lost: this.nodes(),
      observedBy: this.nodes(),
      sinceMs: this.time(),
      sinceWallMs: this.wall(),
      ...this.versioned(),
    };
  }

  /** One operation of every kind, in the order of {@link Operation}. */
  operations(): readonly Operation[] {
    const workId = WorkId(this.name());
    const fencingToken = this.index();
    const claimed = this.flag();
    const reason = this.text();
    const by = this.text();
    const name = this.name();
    return [
      {
        kind: "openSession",
        nodeId: NodeId(this.name()),
        incarnation: this.int(1e12),
        principal: this.text(),
        purpose: this.text(),
        ttlMs: this.int(3_600_000, 1_000),
        capabilities: this.maybe(() => this.capabilities()),
      },
      { kind: "renewSessions", sessionIds: [SessionId(this.name()), SessionId(this.name())] },
      { kind: "closeSession" },
      { kind: "advanceClock" },
      { kind: "enqueueWork", spec: this.spec() },
      { kind: "claimWork", workerId: this.name(), queues: [this.name(), this.name()], maxItems: this.int(1_000, 1) },
      { kind: "startWork", workId, fencingToken },
      { kind: "progressWork", workId, fencingToken, progress: this.progress() },
      {
        kind: "completeWork",
        workId,
        fencingToken,
        result: this.text(),
        error: this.maybe(() => this.error()),
        guards: this.guards(),
      },
      { kind: "releaseWork", workId, fencingToken, reason },
      { kind: "cancelWork", workId, reason, by },
      { kind: "requeueWork", workId },
      {
        kind: "submitJob",
        jobKind: this.name(),
        labels: this.map(() => this.text()),
        items: [this.spec(), this.spec()],
        createdBy: by,
      },
      { kind: "cancelJob", jobId: JobId(this.name()), reason, by },
      {
        kind: "registerVersion",
        model: name,
        configKey: this.text(),
        description: this.text(),
        sourceUri: this.text(),
        format: this.text(),
        workId: claimed ? workId : null,
        fencingToken: claimed ? fencingToken : null,
        parentVersion: this.int(9),
        gitCommit: this.text(),
        tags: this.map(() => this.text()),
        guards: this.guards(),
      },
      {
        kind: "commitVersion",
        model: name,
        number: this.int(99, 1),
        sha256: "0f".repeat(32),
        sizeBytes: this.int(2 ** 52),
        metrics: this.map(() => this.#random()),
        guards: this.guards(),
      },
      {
        kind: "setAlias",
        model: name,
        alias: this.name(),
        version: this.int(99, 1),
        expectedAliasRevision: this.one([null, 0 as LogIndex, this.index()]),
        reason,
        by,
        guards: this.guards(),
      },
      {
        kind: "acquireLock",
        name,
        wait: this.flag(),
        waitTimeoutMs: this.int(1e6),
        lockDelayMs: this.int(1e6),
        purpose: this.text(),
      },
      { kind: "releaseLock", name, fencingToken },
      { kind: "cancelAcquire", name },
      { kind: "forceReleaseLock", name, reason, by },
      {
        kind: "setNodeScheduling",
        nodeId: NodeId(this.name()),
        scheduling: this.one(["OPEN", "CORDONED", "DRAINING"]),
        reason,
        by,
      },
      { kind: "forgetNode", nodeId: NodeId(this.name()), barrier: this.incarnation(), reason, by },
      { kind: "readmitNode", nodeId: NodeId(this.name()), reason, by },
      { kind: "nodeDown", nodeId: NodeId(this.name()), incarnation: this.incarnation(), observedBy: this.nodes() },
      { kind: "nodeUp", nodeId: NodeId(this.name()), incarnation: this.incarnation(), observedBy: this.nodes() },
      { kind: "partitionSuspected", lost: this.nodes(), observedBy: this.nodes() },
      { kind: "partitionHealed", observedBy: this.nodes() },
      { kind: "raiseFeatureLevel", level: this.int(9, 1) },
    ];
  }

  command(operation: Operation): Command {
    const withSession = operation.kind === "closeSession" || this.flag();
    const sequence = this.index() as number as Sequence;
    return {
      sessionId: withSession ? SessionId(this.name()) : null,
      sequence: withSession ? sequence : null,
      firstUnackedSequence: (withSession ? this.one([0, sequence]) : 0) as Sequence,
      operation,
    };
  }
}
