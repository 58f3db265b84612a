import { type WallTimeMs, refusal } from "#kernel";
import type { Command, Operation, Reader } from "#statemachine";
import type { Slot } from "./pending.ts";
import type { SubmitRequest } from "./types.ts";

type ClaimSlot = Slot & { readonly command: Command & { readonly operation: Extract<Operation, { kind: "claimWork" }> } };

/**
 * Long polls: claims that wait on the leader, outside the log, until there is something to claim. First come, first served,
 * and no more of them are let through than there are pending items, so that one new item does not wake a hundred workers:
 * every claim on its way reserves what it may take, until it has been applied.
 */
export class ClaimWaiters {
  readonly #propose: (slot: Slot) => void;
  #parked: Parked[] = [];
  readonly #reservedByQueue = new Map<string, number>();
  readonly #reservations = new Map<Slot, Reservation>();

  constructor(propose: (slot: Slot) => void) {
    this.#propose = propose;
  }

  get size(): number {
    return this.#parked.length;
  }

  /** Proposes the claim when there is something for it, else parks it until `untilMs`. */
  admit(slot: ClaimSlot, untilMs: number, reader: Reader, wallMs: WallTimeMs): void {
    if (!this.#tryServe(slot, reader, reader.queueCounts(), wallMs)) this.#parked.push({ slot, untilMs });
  }

  /** After events, or when time has passed: lets through what can be served now, in order. */
  wake(reader: Reader, wallMs: WallTimeMs): void {
    if (this.#parked.length === 0) return;
    const counts = reader.queueCounts();
    this.#keep(({ slot }) => !this.#tryServe(slot, reader, counts, wallMs));
  }

  /** The claim was applied or refused: what it did not take is free for others. */
  settled(slot: Slot): void {
    const reservation = this.#reservations.get(slot);
    if (reservation === undefined) return;
    this.#reservations.delete(slot);
    this.#reservedByQueue.set(reservation.queue, this.#reserved(reservation.queue) - reservation.items);
  }

  /** A poll whose time is up goes into the log as it is: its reply may be empty. */
  expire(nowMs: number): void {
    if (this.#parked.length === 0) return;
    this.#keep(({ slot, untilMs }) => {
      if (nowMs >= slot.deadlineMs) slot.respond({ kind: "refused", refusal: nothingCame });
      else if (nowMs >= untilMs) this.#propose(slot);
      else return true;
      return false;
    });
  }

  abandon(request: SubmitRequest): boolean {
    const before = this.#parked.length;
    this.#keep(({ slot }) => slot.request !== request);
    return this.#parked.length < before;
  }

  /** This node leads no more: none of these was proposed. */
  refuseAll(why: ReturnType<typeof refusal>): void {
    const parked = this.#parked;
    this.#parked = [];
    this.#reservations.clear();
    this.#reservedByQueue.clear();
    for (const { slot } of parked) slot.respond({ kind: "refused", refusal: why });
  }

  #tryServe(slot: ClaimSlot, reader: Reader, counts: QueueCounts, wallMs: WallTimeMs): boolean {
    const { sessionId, operation } = slot.command;
    const free = (queue: string) => (counts.get(queue)?.PENDING ?? 0) - this.#reserved(queue);
    const queue = operation.queues.find((name) => free(name) > 0);
    if (queue === undefined || sessionId === null || !reader.claimable(sessionId, operation.queues, wallMs)) return false;
    const items = Math.min(operation.maxItems, free(queue));
    this.#reservations.set(slot, { queue, items });
    this.#reservedByQueue.set(queue, this.#reserved(queue) + items);
    this.#propose(slot);
    return true;
  }

  #reserved(queue: string): number {
    return this.#reservedByQueue.get(queue) ?? 0;
  }

  /** `stays` may answer or propose, and so let new claims in; they are kept behind. */
  #keep(stays: (parked: Parked) => boolean): void {
    const parked = this.#parked;
    this.#parked = [];
    const kept = parked.filter(stays);
    this.#parked = this.#parked.length === 0 ? kept : [...kept, ...this.#parked];
  }
}

/** Narrows a slot to a claim of a session: what may wait. */
export function isSessionClaim(slot: Slot): slot is ClaimSlot {
  return slot.command.operation.kind === "claimWork" && slot.command.sessionId !== null;
}

type QueueCounts = ReturnType<Reader["queueCounts"]>;

interface Parked {
  readonly slot: ClaimSlot;
  readonly untilMs: number;
}

interface Reservation {
  readonly queue: string;
  readonly items: number;
}

const nothingCame = refusal("TIMEOUT", "nothing became claimable within the time given");
