import { assertNever, type LogIndex, NO_INDEX } from "#kernel";
import type { PeerProgress } from "../types.ts";
import { Inflights } from "./inflights.ts";

interface Transfer {
  readonly index: LogIndex;
  readonly offset: number;
  readonly sentTick: number;
  /** When the follower last asked for another offset. */
  readonly movedTick: number;
}

/**
 * What a leader knows of one follower's log. Invariant: 0 ≤ match < next.
 *
 * - `probe`: where the logs meet is not known; one append at a time, the next after an answer or a heartbeat reply
 * - `replicate`: appends are pipelined; `next` runs ahead of `match` by what is in flight
 * - `snapshot`: the follower needs entries that are compacted; no appends until it has the snapshot
 */
export class Progress {
  matchIndex: LogIndex = NO_INDEX;
  nextIndex: LogIndex;
  state: "probe" | "replicate" | "snapshot" = "probe";
  /** It may have lost what it acknowledged: it is caught up like any other, and counted for nothing. */
  suspect = false;
  /** Leader's tick of the last word from this peer; null = none in this leadership. */
  lastHeardTick: number | null = null;
  /** Leader's tick since which this peer has been heard from without a gap or a broken link; null = not now. */
  steadySinceTick: number | null = null;
  /** The highest commit index an append or heartbeat has carried to this peer. */
  sentCommit: LogIndex = NO_INDEX;
  /** Probe: one append is out. */
  probeSent = false;
  /**
   * Replicate: a heartbeat reply came while entries are unacknowledged, so one append may go even if it is empty or the
   * window is full. When the appends before it were lost, it is rejected and repair starts: no permanent stall (etcd#14633).
   */
  pokeAllowed = false;
  /** Snapshot: which one, the byte the follower wants next, and when it was last sent. */
  transfer: Transfer | null = null;
  /** Learner to be promoted: what it must acknowledge to have caught up, and since when that is asked. */
  round: { readonly targetIndex: LogIndex; readonly startTick: number } | null = null;
  readonly inflights: Inflights;

  constructor(nextIndex: LogIndex, maxInflightBytes: number) {
    this.nextIndex = nextIndex;
    this.inflights = new Inflights(maxInflightBytes);
  }

  becomeProbe(): void {
    this.#enter("probe");
    this.nextIndex = (this.matchIndex + 1) as LogIndex;
  }

  becomeReplicate(): void {
    this.#enter("replicate");
    this.nextIndex = (this.matchIndex + 1) as LogIndex;
  }

  becomeSnapshot(index: LogIndex, tick: number): void {
    this.#enter("snapshot");
    this.transfer = { index, offset: 0, sentTick: tick, movedTick: tick };
  }

  /** Nothing of what it acknowledged is known to be there. `next` stays: the answer to a probe there tells where the logs meet. */
  becomeSuspect(): void {
    this.suspect = true;
    this.matchIndex = NO_INDEX;
    this.sentCommit = NO_INDEX;
    if (this.state !== "snapshot") this.#enter("probe");
  }

  /** An accepted append: true when it told something new. */
  accepted(matchIndex: LogIndex): boolean {
    this.probeSent = false;
    if (matchIndex <= this.matchIndex) return false;
    this.matchIndex = matchIndex;
    if (this.nextIndex <= matchIndex) this.nextIndex = (matchIndex + 1) as LogIndex;
    return true;
  }

  /**
   * A rejected append at `rejectedIndex`; `guess` is the best guess of a match below it. False when the rejection is stale:
   * what it denies is already known to match, or it answers a probe that is no longer the last one.
   */
  rejected(rejectedIndex: LogIndex, guess: LogIndex): boolean {
    switch (this.state) {
      case "replicate":
        if (rejectedIndex <= this.matchIndex) return false;
        this.becomeProbe();
        return true;
      case "probe":
        if (this.nextIndex - 1 !== rejectedIndex) return false;
        this.nextIndex = Math.max(Math.min(rejectedIndex, guess + 1), this.matchIndex + 1) as LogIndex;
        this.probeSent = false;
        return true;
      case "snapshot":
        return false;
      default:
        return assertNever(this.state, "progress state");
    }
  }

  heardWithin(ticks: number, now: number): boolean {
    return this.lastHeardTick !== null && now - this.lastHeardTick <= ticks;
  }

  describe(recentlyActive: boolean): PeerProgress {
    const { matchIndex, nextIndex, state, suspect } = this;
    return { matchIndex, nextIndex, state, recentlyActive, suspect };
  }

  #enter(state: Progress["state"]): void {
    this.state = state;
    this.probeSent = false;
    this.pokeAllowed = false;
    this.transfer = null;
    this.inflights.clear();
  }
}
