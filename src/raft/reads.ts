import type { LogIndex, MonotonicMs, NodeId } from "#kernel";
import { isQuorum } from "./quorum/index.ts";
import type { Configuration, ReadId } from "./types.ts";

/** A read that waits for its index: of this node's own caller, or of a follower that asked by `readIndex`. */
interface PendingRead {
  readonly from: NodeId;
  readonly readId: ReadId;
}

export interface ConfirmedRound {
  readonly index: LogIndex;
  readonly reads: readonly PendingRead[];
  readonly startedAt: MonotonicMs;
  /** Those of its confirmers that elect nobody else for as long as a lease lasts. */
  readonly boundBy: ReadonlySet<NodeId>;
}

/**
 * ReadIndex (§6.4 of the dissertation) on a leader, in rounds: every read that gathered while one round of heartbeats is out
 * shares the next one. A round's index is the commit index at its start, and only heartbeats sent after that start confirm
 * it. Rounds are numbered here, never by a caller (etcd#20418); they live and die with one leadership.
 */
export class ReadRounds {
  #gathering: PendingRead[] = [];
  #round: (ConfirmedRound & { readonly confirmedBy: Set<NodeId>; readonly boundBy: Set<NodeId> }) | null = null;
  #roundNumber = 0;

  get size(): number {
    return this.#gathering.length + (this.#round?.reads.length ?? 0);
  }

  /** The round whose confirmation is awaited; 0 = none. */
  get awaited(): number {
    return this.#round === null ? 0 : this.#roundNumber;
  }

  get canStart(): boolean {
    return this.#round === null && this.#gathering.length > 0;
  }

  add(read: PendingRead): void {
    this.#gathering.push(read);
  }

  /** `startedAt` is a clock reading taken before the first heartbeat of this round leaves: a lease counts from there. */
  start(commitIndex: LogIndex, self: NodeId, startedAt: MonotonicMs): void {
    const [confirmedBy, boundBy] = [new Set([self]), new Set([self])];
    this.#round = { index: commitIndex, reads: this.#gathering, startedAt, confirmedBy, boundBy };
    this.#gathering = [];
    this.#roundNumber++;
  }

  confirm(round: number, by: NodeId, isBound: boolean): void {
    if (this.#round === null || round !== this.awaited) return;
    this.#round.confirmedBy.add(by);
    if (isBound) this.#round.boundBy.add(by);
  }

  /** The reads of the awaited round, once a quorum has confirmed that this node still leads. */
  takeConfirmed(configuration: Configuration): ConfirmedRound | null {
    const round = this.#round;
    if (round === null || !isQuorum(configuration, (voter) => round.confirmedBy.has(voter))) return null;
    this.#round = null;
    return round;
  }

  /** Leadership is over: every read that was not confirmed. */
  abandon(): readonly PendingRead[] {
    const reads = [...(this.#round?.reads ?? []), ...this.#gathering];
    this.#round = null;
    this.#gathering = [];
    return reads;
  }
}

/**
 * Reads that a follower has sent on to its leader. They travel under numbers of this core's own, which start at a random
 * place in each life, so that an answer to a read of an earlier life never passes for one of this life.
 */
export class ForwardedReads {
  /** In order of sending, so that the oldest is first. */
  readonly #pending = new Map<number, { readonly readId: ReadId; readonly sentTick: number }>();
  #nextNumber: number;

  constructor(firstNumber: number) {
    this.#nextNumber = firstNumber;
  }

  get size(): number {
    return this.#pending.size;
  }

  add(readId: ReadId, tick: number): ReadId {
    const number = this.takeNumber();
    this.#pending.set(number, { readId, sentTick: tick });
    return number;
  }

  /** For a question of the core's own, whose answer it looks for itself. */
  takeNumber(): ReadId {
    return this.#nextNumber++ as ReadId;
  }

  /** The caller's id of an answered read; null when nobody waits for it any more. */
  take(number: ReadId): ReadId | null {
    const pending = this.#pending.get(number);
    this.#pending.delete(number);
    return pending?.readId ?? null;
  }

  /** Those sent at or before `tick`, oldest first. */
  takeSentBy(tick: number): readonly ReadId[] {
    const taken: ReadId[] = [];
    for (const [number, pending] of this.#pending) {
      if (pending.sentTick > tick) break;
      taken.push(pending.readId);
      this.#pending.delete(number);
    }
    return taken;
  }
}
