import { invariant } from "#kernel";

/**
 * A session's life as its client can know it. The server counts the time to live from when the renewal is committed, which
 * is after it was sent, and its clock stands still without a leader. So until `sent + ttl·(1−ε)` on the client's own
 * monotonic clock the session certainly lives (ε covers the drift of two clocks); after that it may have ended.
 *
 * certain ⇄ uncertain → ended. `uncertain` heals when a renewal is answered; `ended` never does.
 */
export class Lease {
  #ttlMs: number;
  #renewedAtMs: number;
  #nextRenewalMs: number;
  #ended = false;

  constructor(ttlMs: number, sentAtMs: number) {
    invariant(ttlMs > 0, `a lease needs a time to live above 0 ms, got ${ttlMs}`);
    this.#ttlMs = ttlMs;
    this.#renewedAtMs = sentAtMs;
    this.#nextRenewalMs = sentAtMs + ttlMs / RENEWALS_PER_TTL;
  }

  get certainUntilMs(): number {
    return this.#renewedAtMs + this.#ttlMs * (1 - DRIFT);
  }

  get nextRenewalMs(): number {
    return this.#nextRenewalMs;
  }

  /** How long one renewal may take before the next is due. */
  get renewalPeriodMs(): number {
    return this.#ttlMs / RENEWALS_PER_TTL;
  }

  state(nowMs: number): "certain" | "uncertain" | "ended" {
    if (this.#ended) return "ended";
    return nowMs < this.certainUntilMs ? "certain" : "uncertain";
  }

  /** A renewal is on its way: the next one is due a third of the time to live from now. */
  renewing(nowMs: number): void {
    this.#nextRenewalMs = nowMs + this.renewalPeriodMs;
  }

  /** The renewal sent at `sentAtMs` was answered. Answers may overtake each other: only a later one counts. */
  renewed(sentAtMs: number): void {
    if (sentAtMs > this.#renewedAtMs) this.#renewedAtMs = sentAtMs;
  }

  end(): void {
    this.#ended = true;
  }
}

const RENEWALS_PER_TTL = 3;
/** Quartz crystals differ by 10⁻⁴; the rest is for a clock that is slewed by its time daemon and for timers that run late. */
const DRIFT = 0.1;
