import { ClusterTimeMs, type MonotonicMs, WallTimeMs } from "#kernel";
import type { CoreStamp } from "./types.ts";

/**
 * The leader's side of the replicated clock: the time of the last entry at the election plus the monotonic time since then.
 * It stands still between two leaders (a lease can only stretch), and neither time ever falls along the log.
 *
 * Where this node's wall clock is behind the log's wall time (it was set back, or the last leader's was ahead), wall time goes
 * on at half speed until the clock has caught up: standing still, it would hold up every back-off for as long.
 */
export class LeaderClock {
  readonly #baseMs: ClusterTimeMs;
  /** Of the first stamp after the election: an older one would count time in which nobody led. */
  #anchor: MonotonicMs | null = null;
  #clusterMs: ClusterTimeMs;
  /** With fractions: many small steps at half speed must add up. */
  #wallMs: number;
  #lastMonotonicMs: MonotonicMs | null = null;

  /** `last` are the times of the log's last entry, `wallMs` the newest reading of this node's wall clock. */
  constructor(last: { readonly clusterTimeMs: ClusterTimeMs; readonly wallTimeMs: WallTimeMs }, wallMs: WallTimeMs) {
    this.#baseMs = last.clusterTimeMs;
    this.#clusterMs = last.clusterTimeMs;
    this.#wallMs = laterWallTime(last.wallTimeMs, wallMs);
  }

  get clusterTimeMs(): ClusterTimeMs {
    return this.#clusterMs;
  }

  get wallTimeMs(): WallTimeMs {
    return Math.floor(this.#wallMs) as WallTimeMs;
  }

  advance(stamp: CoreStamp): void {
    this.#anchor ??= stamp.monotonicMs;
    this.#clusterMs = this.clusterTimeAt(stamp);
    const elapsedMs = Math.max(0, stamp.monotonicMs - (this.#lastMonotonicMs ?? stamp.monotonicMs));
    this.#wallMs = Math.max(this.#wallMs + elapsedMs * CATCH_UP_SPEED, Math.floor(stamp.wallMs));
    if (elapsedMs > 0 || this.#lastMonotonicMs === null) this.#lastMonotonicMs = stamp.monotonicMs;
  }

  /** What {@link advance} would make of this stamp. */
  clusterTimeAt(stamp: CoreStamp): ClusterTimeMs {
    const elapsedMs = Math.floor(stamp.monotonicMs - (this.#anchor ?? stamp.monotonicMs));
    return ClusterTimeMs(Math.max(this.#clusterMs, this.#baseMs + elapsedMs));
  }
}

const CATCH_UP_SPEED = 0.5;

/** Wall clocks jump back; the log's wall time does not. */
export function laterWallTime(known: WallTimeMs, read: WallTimeMs): WallTimeMs {
  return read > known ? WallTimeMs(Math.floor(read)) : known;
}
