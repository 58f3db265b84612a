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
 * itself does not flap. A flapping member is asked for no help and to be nobody's relay, and those upward are told; the mark
 * never changes what is believed or told about the member, or views would differ.
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

  /** When the mark goes if the member does not return from the dead again; null when it does not flap. */
  calmAt(now: MonotonicMs, id: NodeId): MonotonicMs | null {
    if (!this.isFlapping(now, id)) return null;
    const halvings = Math.log2(this.#members.get(id)!.score / (this.#limit / 2));
    // A moment later, since at the threshold itself the mark still stands.
    return (now + Math.ceil(halvings * this.#halfLifeMs) + 1) as MonotonicMs;
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
