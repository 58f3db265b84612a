import { assertNever } from "#kernel";
import type { ClusterNode, JobPhase, LockState, ModelVersionState, SessionState, WorkItem, WorkState } from "./objects.ts";
import type { Decision, ObjectValue } from "./reply.ts";

/**
 * What a feature level adds (nodes, and the level itself) adds nothing below that level, so such a change leaves this number as
 * it is. To be raised with every other change of what the digest covers or how it is computed: voters compare only equal versions, so that
 * an upgrade, voter by voter, is not taken for a divergence.
 */
export const DIGEST_VERSION = 1;

/**
 * Order-independent fingerprint of a set of facts: the sum of their hashes in two 32-bit lanes, so that a change costs
 * one subtraction and one addition. It guards against divergence of honest voters, not against an adversary; so an
 * object is represented by the few numbers that every change moves, not by its text.
 */
export class Digest {
  #a = 0;
  #b = 0;
  readonly #hash = new Hash();

  add(object: ObjectValue): void {
    hashObject(this.#hash, object);
    this.#plus();
  }

  remove(object: ObjectValue): void {
    hashObject(this.#hash, object);
    this.#minus();
  }

  /** Work items are many and change often, so each version keeps its hash ({@link workHash}). */
  addHash({ hashA, hashB }: HashLanes): void {
    this.#a = (this.#a + hashA) >>> 0;
    this.#b = (this.#b + hashB) >>> 0;
  }

  removeHash({ hashA, hashB }: HashLanes): void {
    this.#a = (this.#a - hashA) >>> 0;
    this.#b = (this.#b - hashB) >>> 0;
  }

  /** `session` is the session's create revision: short, and as unique as its id. */
  addReply(session: number, sequence: number, decision: Decision): void {
    hashReply(this.#hash, session, sequence, decision);
    this.#plus();
  }

  removeReply(session: number, sequence: number, decision: Decision): void {
    hashReply(this.#hash, session, sequence, decision);
    this.#minus();
  }

  /** Replaces the low-water mark of a session's replies; null where there was or is none. */
  moveFirstUnacked(session: number, from: number | null, to: number | null): void {
    if (from !== null) {
      this.#hash.start(11).number(session).number(from);
      this.#minus();
    }
    if (to !== null) {
      this.#hash.start(11).number(session).number(to);
      this.#plus();
    }
  }

  /** Level 0 counts for nothing: a state without features has the digest that versions without features give it. */
  moveFeatureLevel(from: number, to: number): void {
    if (from > 0) {
      this.#hash.start(9).number(from);
      this.#minus();
    }
    if (to > 0) {
      this.#hash.start(9).number(to);
      this.#plus();
    }
  }

  /** 16 hex digits over the facts and the three counters of the machine. */
  hex(revision: number, clusterTimeMs: number, wallTimeMs: number): string {
    const hash = this.#hash.start(12).number(this.#a).number(this.#b).number(revision).number(clusterTimeMs).number(wallTimeMs);
    return hex32(hash.a()) + hex32(hash.b());
  }

  #plus(): void {
    this.#a = (this.#a + this.#hash.a()) >>> 0;
    this.#b = (this.#b + this.#hash.b()) >>> 0;
  }

  #minus(): void {
    this.#a = (this.#a - this.#hash.a()) >>> 0;
    this.#b = (this.#b - this.#hash.b()) >>> 0;
  }
}

/** As signed 32-bit integers, which need no cell of their own in an object that holds them. */
export interface HashLanes {
  readonly hashA: number;
  readonly hashB: number;
}

export function workHash(item: WorkItem): HashLanes {
  const hash = new Hash();
  hashWork(hash, item);
  return { hashA: hash.a() | 0, hashB: hash.b() | 0 };
}

/** A number in [0, 1) that depends on the text and the number alone: the deterministic stand-in for randomness. */
export function unitHash(text: string, number: number): number {
  return new Hash().start(13).text(text).number(number).a() / 4_294_967_296;
}

/** FNV-1a with two primes side by side, finished like murmur3. */
class Hash {
  #a = 0;
  #b = 0;

  start(kind: number): this {
    this.#a = Math.imul(0x811c9dc5 ^ kind, 0x01000193);
    this.#b = Math.imul(0x9747b28c ^ kind, 0x85ebca6b);
    return this;
  }

  text(text: string): this {
    for (let i = 0; i < text.length; i += 1) this.#word(text.charCodeAt(i));
    return this.number(text.length);
  }

  /** Any safe integer. */
  number(n: number): this {
    this.#word(n >>> 0);
    if (n >= 4_294_967_296 || n < 0) this.#word((n / 4_294_967_296) >>> 0);
    return this;
  }

  a(): number {
    return finish(this.#a);
  }

  b(): number {
    return finish(this.#b);
  }

  #word(word: number): void {
    this.#a = Math.imul(this.#a ^ word, 0x01000193);
    this.#a ^= this.#a >>> 15;
    this.#b = Math.imul(this.#b ^ word, 0x85ebca6b);
    this.#b ^= this.#b >>> 13;
  }
}

const workStates: Readonly<Record<WorkState, number>> = {
  PENDING: 1,
  CLAIMED: 2,
  RUNNING: 3,
  SUCCEEDED: 4,
  FAILED: 5,
  DEAD: 6,
  CANCELLED: 7,
};
const jobPhases: Readonly<Record<JobPhase, number>> = {
  PENDING: 1,
  RUNNING: 2,
  SUCCEEDED: 3,
  FAILED: 4,
  CANCELLING: 5,
  CANCELLED: 6,
};
const versionStates: Readonly<Record<ModelVersionState, number>> = {
  UPLOADING: 1,
  READY: 2,
  ABORTED: 3,
  ARCHIVED: 4,
  QUARANTINED: 5,
  DELETED: 6,
};
const lockStates: Readonly<Record<LockState, number>> = { FREE: 1, HELD: 2, DELAY: 3 };
const sessionStates: Readonly<Record<SessionState, number>> = { OPEN: 1, SUSPECT: 2 };
const nodeStates: Readonly<Record<ClusterNode["state"], number>> = { UP: 1, DOWN: 2, EVICTED: 3 };
const schedulings: Readonly<Record<ClusterNode["scheduling"], number>> = { OPEN: 1, CORDONED: 2, DRAINING: 3 };

function hashObject(hash: Hash, object: ObjectValue): void {
  const { value } = object;
  switch (object.kind) {
    case "work":
      hashWork(hash, object.value);
      return;
    case "job": {
      const job = object.value;
      hash.start(2).text(job.jobId).number(jobPhases[job.phase]);
      hash.number(Math.round(job.percent * 100)).number(job.counts.SUCCEEDED);
      break;
    }
    case "model": {
      const model = object.value;
      hash.start(3).text(model.name).number(model.lastVersion).number(model.history.length);
      break;
    }
    case "model_version": {
      const version = object.value;
      hash.start(4).text(version.model).number(version.number).number(versionStates[version.state]).text(version.sha256);
      break;
    }
    case "lock": {
      const lock = object.value;
      hash.start(5).text(lock.name).number(lockStates[lock.state]).number(lock.lastToken);
      hash.number(lock.waiters.length).number(lock.delayUntilMs ?? 0);
      break;
    }
    case "session": {
      const session = object.value;
      hash.start(6).text(session.sessionId).number(sessionStates[session.state]).number(session.deadlineMs);
      break;
    }
    case "node": {
      const node = object.value;
      hash.start(7).text(node.nodeId).number(nodeStates[node.state]).number(schedulings[node.scheduling]);
      hash.number(node.incarnation.epoch).number(node.incarnation.counter);
      hash.number(node.refuted?.epoch ?? 0).number(node.refuted?.counter ?? 0);
      break;
    }
    case "partition":
      hash
        .start(8)
        .number(object.value.state === "SUSPECTED" ? 1 : 2)
        .number(object.value.lost.length);
      break;
    default:
      return assertNever(object, "object");
  }
  hash.number(value.modRevision).number(value.version);
}

function hashWork(hash: Hash, item: WorkItem): void {
  hash.start(1).text(item.workId).number(workStates[item.state]).number(item.modRevision).number(item.version);
  hash.number(item.attempt).number(item.lossCount).number(item.availableAtMs);
  hash.number(item.claim === null ? 0 : item.claim.fencingToken);
  hash.number(item.spec.payload.length).number(item.result.length);
}

function hashReply(hash: Hash, session: number, sequence: number, decision: Decision): void {
  hash.start(10).number(session).number(sequence).number(decision.revision);
  const { outcome } = decision;
  hash.text(outcome.ok ? outcome.value.kind : outcome.refusal.reason);
}

function finish(h: number): number {
  let mixed = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return (mixed ^ (mixed >>> 16)) >>> 0;
}

const hex32 = (n: number): string => n.toString(16).padStart(8, "0");
