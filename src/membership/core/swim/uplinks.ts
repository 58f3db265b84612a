import type { MonotonicMs, NodeId } from "#kernel";
import type { StreamId } from "./types.ts";

interface Uplink {
  readonly relay: NodeId;
  granted: boolean;
}

/** A window of this many periods tells how datagrams fare. */
const WINDOW_PERIODS = 8;
/** Pings by datagram for this many periods, nearly one in each, bring the direct path back. */
const RECOVERED_AFTER_PERIODS = 40;
const RECOVERED_SHARE = 0.5;
/** Whoever did not take this node on is asked last for this many periods. */
const DECLINED_PERIODS = 80;

/**
 * What this node knows of its own reachability, and the streams it holds open to its relays. Every member is pinged about
 * once a period by somebody; a member that never is, while its own pings are answered, cannot be reached.
 */
export class Uplinks {
  readonly #periodMs: number;
  readonly #streams = new Map<StreamId, Uplink>();
  readonly #declinedAt = new Map<NodeId, MonotonicMs>();
  #datagramAt: MonotonicMs;
  #directPingAt: MonotonicMs;
  #streamPingAt: MonotonicMs | null = null;
  /** Since when direct pings are counted again, and how many came. */
  #countingSince: MonotonicMs;
  #directPings = 0;
  /** Whether strangers reach this node: once in a life it has reason to ask, and then waits a moment for their pings. */
  #doubt: "none" | "asked" | "over" = "none";
  #wasPinged = false;

  constructor(now: MonotonicMs, periodMs: number) {
    this.#periodMs = periodMs;
    this.#datagramAt = now;
    this.#directPingAt = now;
    this.#countingSince = now;
  }

  /** Any datagram came that was sent straight to this node, be it only the answer to its own. */
  heardDatagram(now: MonotonicMs): void {
    this.#datagramAt = now;
  }

  heardPing(now: MonotonicMs, by: "datagram" | "stream" | "relay"): void {
    if (by === "stream") this.#streamPingAt = now;
    if (by !== "datagram") return;
    this.#directPingAt = now;
    this.#directPings += 1;
    this.#wasPinged = true;
  }

  /** False where there is nothing to ask: a ping has come straight here, or it was asked before. */
  beginDoubt(): boolean {
    if (this.#wasPinged || this.#doubt !== "none") return false;
    this.#doubt = "asked";
    return true;
  }

  endDoubt(): void {
    this.#doubt = "over";
  }

  /** Strangers were asked to ping this node, and what came of it is not known yet. */
  get isInDoubt(): boolean {
    return this.#doubt === "asked";
  }

  /** They were asked, and none has ever come straight here. */
  get isUnreached(): boolean {
    return this.#doubt === "over" && !this.#wasPinged;
  }

  /** Whether what this node sends by datagram gets anywhere and back. */
  datagramsWork(now: MonotonicMs): boolean {
    return now - this.#datagramAt < WINDOW_PERIODS * this.#periodMs;
  }

  /** Periods since the last ping that came straight here. */
  quietPeriods(now: MonotonicMs): number {
    return (now - this.#directPingAt) / this.#periodMs;
  }

  /** Streams from others still come in. */
  takesStreams(now: MonotonicMs): boolean {
    return this.#streamPingAt !== null && now - this.#streamPingAt < 2 * WINDOW_PERIODS * this.#periodMs;
  }

  /** Asked once a period while there are relays: whether direct pings have come often enough for long enough. */
  hasRecovered(now: MonotonicMs): boolean {
    const periods = (now - this.#countingSince) / this.#periodMs;
    if (periods < RECOVERED_AFTER_PERIODS) return false;
    const recovered = this.#directPings >= periods * RECOVERED_SHARE;
    this.startCounting(now);
    return recovered;
  }

  startCounting(now: MonotonicMs): void {
    this.#countingSince = now;
    this.#directPings = 0;
  }

  opened(stream: StreamId, relay: NodeId): void {
    this.#streams.set(stream, { relay, granted: false });
  }

  granted(stream: StreamId): void {
    const uplink = this.#streams.get(stream);
    if (uplink !== undefined) uplink.granted = true;
  }

  lost(now: MonotonicMs, stream: StreamId): void {
    const uplink = this.#streams.get(stream);
    if (uplink?.granted === false) this.#declinedAt.set(uplink.relay, now);
    this.#streams.delete(stream);
  }

  /** Its stream carries nothing any more: a new one to the same relay might not either. */
  silent(now: MonotonicMs, relay: NodeId): void {
    this.#declinedAt.set(relay, now);
  }

  /** It refused of late, or its stream came to nothing. */
  hasDeclined(now: MonotonicMs, id: NodeId): boolean {
    const at = this.#declinedAt.get(id);
    if (at === undefined || now - at < DECLINED_PERIODS * this.#periodMs) return at !== undefined;
    this.#declinedAt.delete(id);
    return false;
  }

  forget(id: NodeId): void {
    this.#declinedAt.delete(id);
  }

  isGranted(stream: StreamId): boolean {
    return this.#streams.get(stream)?.granted === true;
  }

  /** Streams to relays that `serves` does not hold fit any more. A crashed machine closes no streams. */
  unfit(serves: (relay: NodeId) => boolean): readonly StreamId[] {
    return [...this.#streams].filter(([, { relay }]) => !serves(relay)).map(([stream]) => stream);
  }

  get streams(): readonly StreamId[] {
    return [...this.#streams.keys()];
  }

  /** Streams that carry packets for us. */
  get carriers(): readonly StreamId[] {
    return [...this.#streams].filter(([, uplink]) => uplink.granted).map(([stream]) => stream);
  }

  /** Relays that took us on, in that order. */
  get relays(): readonly NodeId[] {
    return [...this.#streams.values()].filter((uplink) => uplink.granted).map((uplink) => uplink.relay);
  }

  /** Those asked and not yet heard from, too. */
  asked(id: NodeId): boolean {
    return [...this.#streams.values()].some((uplink) => uplink.relay === id);
  }

  get size(): number {
    return this.#streams.size;
  }

  /** The first stream that carries packets for us. */
  carrier(): StreamId | null {
    for (const [stream, uplink] of this.#streams) if (uplink.granted) return stream;
    return null;
  }
}
