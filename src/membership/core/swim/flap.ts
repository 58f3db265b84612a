import type { MonotonicMs, NodeId } from "#kernel";
import type { SwimOptions } from "./options.ts";

const HOUR_MS = 3_600_000;

/** More returns in one hour than this are not counted singly any more. */
const RETURNS_KEPT = 60;

interface Flapping {
  score: number;
  at: MonotonicMs;
  readonly returns: MonotonicMs[];
  damped: boolean;
}

/**
 * Members that die and come back, again and again. Every return adds one to a score that halves in each half-life. At
 * `flapLimit` the member counts as flapping until the score is back under half of it: two thresholds, so that the mark
 * itself does not flap. It marks, and holds back what others would do about the member (events upward, new work); it never
 * changes what is believed or told about it, or views would differ.
 */
export class FlapDamping {
  readonly #halfLifeMs: number;
  readonly #limit: number;
  readonly #members = new Map<NodeId, Flapping>();

  constructor(options: Pick<SwimOptions, "flapHalfLifeMs" | "flapLimit">) {
    this.#halfLifeMs = options.flapHalfLifeMs;
    this.#limit = options.flapLimit;
  }

  /** `id` is back from the dead. */
  noteReturn(now: MonotonicMs, id: NodeId): void {
    const member = this.#members.get(id) ?? { score: 0, at: now, returns: [], damped: false };
    this.#members.set(id, member);
    this.#decay(now, member);
    member.score += 1;
    if (member.score >= this.#limit) member.damped = true;
    member.returns.push(now);
    if (member.returns.length > RETURNS_KEPT) member.returns.shift();
  }

  isFlapping(now: MonotonicMs, id: NodeId): boolean {
    const member = this.#members.get(id);
    if (member === undefined) return false;
    this.#decay(now, member);
    return member.damped;
  }

  /** Returns within the last hour. */
  flapsPerHour(now: MonotonicMs, id: NodeId): number {
    return this.#members.get(id)?.returns.filter((at) => now - at < HOUR_MS).length ?? 0;
  }

  /** To be called when the member itself is forgotten. */
  forget(id: NodeId): void {
    this.#members.delete(id);
  }

  #decay(now: MonotonicMs, member: Flapping): void {
    member.score *= 2 ** ((member.at - now) / this.#halfLifeMs);
    member.at = now;
    if (member.score < this.#limit / 2) member.damped = false;
  }
}
