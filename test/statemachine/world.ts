import { completeWorkSpec } from "#codec";
import assert from "node:assert/strict";
import {
  ClusterTimeMs,
  type FencingToken,
  LogIndex,
  NodeId,
  type Reason,
  Sequence,
  type SessionId,
  WallTimeMs,
  type WorkId,
} from "#kernel";
import {
  type Applied,
  type Capabilities,
  type Command,
  createStateMachine,
  type Decision,
  emptyCapabilities,
  type Event,
  type InspectableStateMachine,
  type MachineLimits,
  type Operation,
  type Reply,
  type WorkItem,
  type WorkSpec,
} from "#statemachine";

/** What a caller gets who names nothing but the kind. */
export const defaultWorkSpec: WorkSpec = completeWorkSpec({ kind: "" });

export const wallStart = 1_700_000_000_000;

type ReplyOf<K extends Reply["kind"]> = Extract<Reply, { readonly kind: K }>;

/** One state machine and a log in the making: every call is one entry, time moves only by `after`. */
export class World {
  readonly machine: InspectableStateMachine;
  now = 0;
  index = 0;
  events: readonly Event[] = [];

  constructor(limits: Partial<MachineLimits> = {}) {
    this.machine = createStateMachine(limits);
  }

  /** Moves both clocks; nothing happens before the next entry. */
  after(ms: number): this {
    this.now += ms;
    return this;
  }

  context() {
    this.index += 1;
    return { index: LogIndex(this.index), clusterTimeMs: ClusterTimeMs(this.now), wallTimeMs: WallTimeMs(wallStart + this.now) };
  }

  apply(command: Command): Applied {
    const applied = this.machine.apply(command, this.context());
    this.events = applied.events;
    return applied;
  }

  tick(): readonly Event[] {
    this.apply(command({ kind: "advanceClock" }));
    return this.events;
  }

  open(ttlMs = 15_000, capabilities: Capabilities | null = emptyCapabilities): Client {
    const open = command({
      kind: "openSession",
      nodeId: NodeId("gpu-1"),
      incarnation: 1,
      principal: "cn=gpu-1",
      purpose: "worker",
      ttlMs,
      capabilities,
    });
    return new Client(this, expectReply(this.apply(open).decision, "session").session.sessionId);
  }

  /** An entry without a session. */
  run<K extends Reply["kind"]>(kind: K, operation: Operation): ReplyOf<K> {
    return expectReply(this.apply(command(operation)).decision, kind);
  }

  refuse(reason: Reason, operation: Operation, field?: string): void {
    expectRefusal(this.apply(command(operation)).decision, reason, field);
  }

  enqueue(more: Partial<WorkSpec> = {}): WorkItem {
    return this.run("work", { kind: "enqueueWork", spec: { ...defaultWorkSpec, ...more } }).item;
  }

  work(id: WorkId): WorkItem {
    const item = this.machine.read().work(id);
    assert.ok(item !== null, `work item ${id} is there`);
    return item;
  }

  lock(name: string) {
    const lock = this.machine.read().lock(name);
    assert.ok(lock !== null, `lock ${name} is there`);
    return lock;
  }
}

/** One session that numbers its commands. */
export class Client {
  readonly world: World;
  readonly id: SessionId;
  sequence = 0;

  constructor(world: World, id: SessionId) {
    this.world = world;
    this.id = id;
  }

  decide(operation: Operation, sequence = (this.sequence += 1), firstUnacked = 0): Decision {
    return this.world.apply({
      sessionId: this.id,
      sequence: Sequence(sequence),
      firstUnackedSequence: Sequence(firstUnacked),
      operation,
    }).decision;
  }

  run<K extends Reply["kind"]>(kind: K, operation: Operation): ReplyOf<K> {
    return expectReply(this.decide(operation), kind);
  }

  refuse(reason: Reason, operation: Operation, field?: string): string {
    return expectRefusal(this.decide(operation), reason, field);
  }

  renew(): readonly string[] {
    return this.world.run("renewed", { kind: "renewSessions", sessionIds: [this.id] }).expired;
  }

  claim(maxItems = 1, queues: readonly string[] = ["default"]): readonly WorkItem[] {
    return this.run("claimed", { kind: "claimWork", workerId: "w1", queues, maxItems }).items;
  }

  /** Claims the one item that must be there. */
  claimOne(): Claimed {
    const [item] = this.claim();
    assert.ok(item?.claim !== null && item !== undefined, "an item is claimable");
    return { workId: item.workId, fencingToken: item.claim.fencingToken };
  }

  start(claimed: Claimed) {
    return this.run("work", { kind: "startWork", ...claimed }).item;
  }

  succeed(claimed: Claimed, result = "") {
    return this.run("work", { kind: "completeWork", ...claimed, result, error: null, guards: [] }).item;
  }

  fail(claimed: Claimed, retryable = true) {
    return this.run("work", failure(claimed, retryable)).item;
  }

  acquire(name: string, more: Partial<Extract<Operation, { readonly kind: "acquireLock" }>> = {}) {
    return this.run("lock", acquisition(name, more));
  }
}

export interface Claimed {
  readonly workId: WorkId;
  readonly fencingToken: FencingToken;
}

export function command(operation: Operation): Command {
  return { sessionId: null, sequence: null, firstUnackedSequence: Sequence(0), operation };
}

export const acquisition = (
  name: string,
  more: Partial<Extract<Operation, { readonly kind: "acquireLock" }>> = {},
): Operation => ({ kind: "acquireLock", name, wait: true, waitTimeoutMs: 0, lockDelayMs: 15_000, purpose: "train", ...more });

export const failure = (claimed: Claimed, retryable: boolean): Operation => ({
  kind: "completeWork",
  ...claimed,
  result: "",
  error: { code: "E_OOM", message: "out of memory", retryable, cause: "app" },
  guards: [],
});

export const success = (claimed: Claimed): Operation => ({
  kind: "completeWork",
  ...claimed,
  result: "",
  error: null,
  guards: [],
});

export function expectReply<K extends Reply["kind"]>(decision: Decision, kind: K): ReplyOf<K> {
  const { outcome } = decision;
  assert.ok(outcome.ok, `expected ${kind}, was refused: ${outcome.ok ? "" : JSON.stringify(outcome.refusal)}`);
  assert.equal(outcome.value.kind, kind);
  return outcome.value as ReplyOf<K>;
}

/** Returns the message. */
export function expectRefusal(decision: Decision, reason: Reason, field?: string): string {
  const { outcome } = decision;
  assert.ok(!outcome.ok, `expected ${reason}, was accepted`);
  assert.equal(outcome.refusal.reason, reason, outcome.refusal.message);
  if (field !== undefined) assert.equal(outcome.refusal.field, field);
  return outcome.refusal.message;
}

export const summary = (events: readonly Event[]): readonly string[] =>
  events.map(({ kind, key, object }) => `${kind} ${key}${object === null ? " removed" : ""}`);
