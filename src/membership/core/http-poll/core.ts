import { invariant, MonotonicMs, type NodeId, type Random } from "#kernel";
import type { HttpPollOptions } from "./options.ts";
import type {
  HttpPollCore,
  HttpPollEvent,
  HttpPollView,
  Peer,
  PeerState,
  PeerView,
  Poll,
  PollFailure,
  PollId,
  PollResult,
} from "./types.ts";

/** What is known of one peer. */
interface Tracked {
  readonly id: NodeId;
  addresses: Peer["addresses"];
  /** Which of `addresses` is asked. */
  at: number;
  /** The address of the last answer. */
  answeredFrom: string | null;
  state: PeerState;
  since: MonotonicMs;
  /** Silence is counted from the last poll that was answered, as misses are: its answer was on time. Before it, from the start. */
  silentSince: MonotonicMs;
  heardAt: MonotonicMs | null;
  boot: string | null;
  rttMs: number | null;
  failuresInARow: number;
  pauseMs: number;
  nextPollAt: MonotonicMs;
  outstanding: { readonly poll: PollId; readonly sentAt: MonotonicMs } | null;
}

/**
 * Every node asks every other for its `/status` (ADR-013's present state). Verdicts fall only with a failed poll, never with
 * the passing of time alone: a process that stood still for a minute has asked nobody and knows nothing.
 */
export function createHttpPoll(options: HttpPollOptions, random: Random): HttpPollCore {
  return new HttpPollDetector(options, random);
}

class HttpPollDetector implements HttpPollCore {
  readonly #options: HttpPollOptions;
  readonly #random: Random;
  readonly #peers = new Map<NodeId, Tracked>();
  readonly #failed: Record<PollFailure, number> = {
    timeout: 0,
    refused: 0,
    status: 0,
    "not-json": 0,
    "wrong-node": 0,
    lost: 0,
  };
  #polls: Poll[] = [];
  #events: HttpPollEvent[] = [];
  #made = 0;
  #answered = 0;

  constructor(options: HttpPollOptions, random: Random) {
    this.#options = options;
    this.#random = random;
  }

  setPeers(now: MonotonicMs, peers: readonly Peer[]): void {
    const named = new Map(peers.map((peer) => [peer.id, peer]));
    invariant(named.size === peers.length, `${peers.length} peers, but only ${named.size} ids`);
    for (const id of this.#peers.keys()) {
      if (named.has(id)) continue;
      this.#peers.delete(id);
      this.#events.push({ kind: "removed", id });
    }
    for (const { id, addresses } of peers) {
      const known = this.#peers.get(id);
      if (known === undefined) this.#peers.set(id, this.#track(now, id, addresses));
      else if (known.addresses.join() !== addresses.join()) readdress(now, known, addresses);
    }
  }

  handleResult(now: MonotonicMs, poll: PollId, result: PollResult): void {
    for (const peer of this.#peers.values()) {
      // An answer to a poll that was given up, or to one of a removed peer, is nobody's.
      if (peer.outstanding?.poll === poll) return this.#settle(now, peer, result);
    }
  }

  handleContact(now: MonotonicMs, id: NodeId): void {
    const peer = this.#peers.get(id);
    if (peer === undefined || peer.state === "alive" || peer.outstanding !== null) return;
    // Back to short pauses too: who speaks will soon be reachable, if it is not already.
    peer.pauseMs = this.#options.recoveryMinMs;
    peer.nextPollAt = MonotonicMs(Math.min(peer.nextPollAt, now));
  }

  handleTimeout(now: MonotonicMs): void {
    for (const peer of this.#peers.values()) {
      if (peer.outstanding !== null && now >= this.#givenUpAt(peer.outstanding.sentAt)) {
        this.#settle(now, peer, { kind: "failed", why: "lost" });
      }
      if (peer.outstanding === null && now >= peer.nextPollAt) this.#ask(now, peer);
    }
  }

  takePolls(): readonly Poll[] {
    const polls = this.#polls;
    this.#polls = [];
    return polls;
  }

  takeEvents(): readonly HttpPollEvent[] {
    const events = this.#events;
    this.#events = [];
    return events;
  }

  get nextDeadline(): MonotonicMs | null {
    let next: MonotonicMs | null = null;
    for (const { outstanding, nextPollAt } of this.#peers.values()) {
      const at = outstanding === null ? nextPollAt : this.#givenUpAt(outstanding.sentAt);
      if (next === null || at < next) next = at;
    }
    return next;
  }

  view(now: MonotonicMs): HttpPollView {
    const peers = [...this.#peers.values()].map(viewOf).toSorted((a, b) => (a.id < b.id ? -1 : 1));
    return Object.freeze({
      at: now,
      peers: Object.freeze(peers),
      polls: this.#made,
      answered: this.#answered,
      failed: Object.freeze({ ...this.#failed }),
    });
  }

  /** The first polls are spread over an interval: nodes that start together must not poll together for ever. */
  #track(now: MonotonicMs, id: NodeId, addresses: Peer["addresses"]): Tracked {
    return {
      id,
      addresses,
      at: 0,
      answeredFrom: null,
      state: "unknown",
      since: now,
      silentSince: now,
      heardAt: null,
      boot: null,
      rttMs: null,
      failuresInARow: 0,
      pauseMs: this.#options.recoveryMinMs,
      nextPollAt: MonotonicMs(now + Math.floor(this.#random() * this.#options.intervalMs)),
      outstanding: null,
    };
  }

  #ask(now: MonotonicMs, peer: Tracked): void {
    const poll = ++this.#made as PollId;
    peer.outstanding = { poll, sentAt: now };
    // From the plan, not from now: a driver that is always a little late must not drift. One that was away starts afresh.
    const next = peer.nextPollAt + this.#options.intervalMs;
    peer.nextPollAt = MonotonicMs(next > now ? next : now + this.#options.intervalMs);
    this.#polls.push({ poll, peer: peer.id, address: addressOf(peer), timeoutMs: this.#options.requestTimeoutMs });
  }

  /** The driver's own timeout comes first; after twice that time it has forgotten the poll. */
  #givenUpAt(sentAt: MonotonicMs): MonotonicMs {
    return MonotonicMs(sentAt + 2 * this.#options.requestTimeoutMs);
  }

  #settle(now: MonotonicMs, peer: Tracked, result: PollResult): void {
    const sentAt = peer.outstanding?.sentAt ?? now;
    peer.outstanding = null;
    if (result.kind === "failed") return this.#miss(now, peer, result.why);
    if (result.nodeId !== peer.id) {
      this.#events.push({ kind: "wrong-node", id: peer.id, answered: result.nodeId, address: addressOf(peer) });
      return this.#miss(now, peer, "wrong-node");
    }
    this.#answered++;
    this.#hear(now, peer, result.boot, sentAt);
  }

  #hear(now: MonotonicMs, peer: Tracked, boot: string | null, sentAt: MonotonicMs): void {
    const { id, state, answeredFrom } = peer;
    const restarted = boot !== null && peer.boot !== null && boot !== peer.boot;
    const address = addressOf(peer);
    if (state === "unknown") this.#events.push({ kind: "joined", id });
    if (state === "dead")
      this.#events.push(peer.heardAt === null ? { kind: "joined", id } : { kind: "recovered", id, restarted });
    if (state === "suspect") this.#events.push({ kind: "refuted", id });
    if (restarted && state !== "dead") this.#events.push({ kind: "restarted", id });
    if (answeredFrom !== null && answeredFrom !== address) {
      this.#events.push({ kind: "address-changed", id, before: answeredFrom, now: address });
    }
    if (state !== "alive") peer.since = now;
    peer.state = "alive";
    peer.silentSince = sentAt;
    peer.heardAt = now;
    peer.boot = boot ?? peer.boot;
    peer.rttMs = now - sentAt;
    peer.failuresInARow = 0;
    peer.answeredFrom = address;
    peer.pauseMs = this.#options.recoveryMinMs;
  }

  #miss(now: MonotonicMs, peer: Tracked, why: PollFailure): void {
    const { failures, peerTimeoutMs } = this.#options;
    this.#failed[why]++;
    peer.failuresInARow++;
    peer.at = (peer.at + 1) % peer.addresses.length;
    if (peer.state === "dead") return this.#backOff(now, peer);
    if (peer.failuresInARow >= failures && now - peer.silentSince >= peerTimeoutMs) {
      this.#become(now, peer, "dead");
      this.#events.push({ kind: "died", id: peer.id, why });
      return this.#backOff(now, peer);
    }
    if (peer.state !== "alive") return;
    this.#become(now, peer, "suspect");
    this.#events.push({ kind: "suspected", id: peer.id, why });
  }

  /** The pause doubles; up to a quarter is added at random, so that the nodes of a cluster do not ask in step. */
  #backOff(now: MonotonicMs, peer: Tracked): void {
    peer.nextPollAt = MonotonicMs(now + Math.ceil(peer.pauseMs * (1 + this.#random() / 4)));
    peer.pauseMs = Math.min(2 * peer.pauseMs, this.#options.recoveryMaxMs);
  }

  #become(now: MonotonicMs, peer: Tracked, state: PeerState): void {
    peer.state = state;
    peer.since = now;
  }
}

/** Asked at once: that it was silent at the old addresses says nothing of the new ones. */
function readdress(now: MonotonicMs, peer: Tracked, addresses: Peer["addresses"]): void {
  peer.addresses = addresses;
  peer.at = 0;
  peer.nextPollAt = now;
}

function addressOf({ addresses, at }: Tracked): string {
  return addresses[at] ?? addresses[0];
}

function viewOf(peer: Tracked): PeerView {
  const { id, state, since, heardAt, rttMs, failuresInARow, boot } = peer;
  return Object.freeze({ id, state, since, address: addressOf(peer), heardAt, rttMs, failuresInARow, boot });
}
