import { type NodeId, type Outcome, type Random, accepted } from "#kernel";
import {
  type AllowListOptions,
  Comparison,
  type ComparisonView,
  createHttpPoll,
  type HttpPollEvent,
  type HttpPollOptions,
  type HttpPollView,
  type MemberRecord,
  type MembershipView,
  type Metadata,
  type Peer,
  statementOfHttp,
  statementOfSwim,
  type SwimEvent,
  type SwimOptions,
} from "#membership/core";
import type { Aead, Clock, DatagramSocket, HttpGet, StreamPort, Timer, Timers } from "#ports";
import { type Clause, httpConvergence, swimConvergence } from "./convergence.ts";
import { HttpPollDriver, type StatusPage } from "./http-poll-driver.ts";
import { type LogWord, logWordIn } from "./log-word.ts";
import { addressesOf, rememberingResolver, type ResolveName, type SeedPlaces, seedsOf } from "./places.ts";
import type { Removal } from "./removals.ts";
import { type MachineFacts, type SelfTest, selfTestOf } from "./self-test.ts";
import { type DriverCounters, SwimDriver } from "./swim-driver.ts";

/** `hybrid`: both detectors run, SWIM is authoritative, and what each finds is compared. */
export type MembershipMode = "http" | "swim" | "hybrid";

/** Everything by value, so that it can be handed to another thread. */
export interface MembershipSetup {
  readonly mode: MembershipMode;
  readonly id: NodeId;
  readonly label: string;
  /** The first one seals; empty in mode `http`. */
  readonly keys: readonly Uint8Array[];
  /** Where others reach this node, names among them, in order of preference. */
  readonly advertise: readonly string[];
  readonly seeds: readonly SeedPlaces[];
  readonly allow: AllowListOptions;
  readonly metadata: Metadata;
  readonly swim: SwimOptions;
  readonly httpPoll: HttpPollOptions;
  /** Whom HTTP polling asks: every other node of the configuration. */
  readonly peers: readonly Peer[];
}

/** What a node remembers of its former lives. */
export interface FormerLives {
  /** Of this boot; durable already. */
  readonly epoch: number;
  readonly members: readonly MemberRecord[];
  /** A moment that this node has lived through by the wall clock; null: none is remembered. */
  readonly wallMs: number | null;
}

export interface MembershipPorts {
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Random;
  readonly aead: Aead;
  /** Absent where only polling runs. */
  readonly sockets: { readonly datagrams: DatagramSocket; readonly streams: StreamPort } | null;
  readonly get: HttpGet;
  readonly resolve: ResolveName;
  readonly machine: MachineFacts;
  readonly onSwimEvent: (event: SwimEvent) => void;
  readonly onHttpEvent: (event: HttpPollEvent) => void;
  /** No address of this node is known yet: it looks again. */
  readonly onUnresolved: (places: readonly string[]) => void;
}

/** What this node sees now. */
export interface MembershipLook {
  readonly mode: MembershipMode;
  /** Names this life of the node; the same word in both detectors. */
  readonly boot: string;
  readonly swim: { readonly view: MembershipView; readonly counters: DriverCounters; readonly selfTest: SelfTest } | null;
  readonly http: HttpPollView | null;
  readonly comparison: ComparisonView | null;
  /** Of the authoritative detector. */
  readonly clauses: readonly Clause[];
}

/** Names are looked up again so often: an address that comes late, or moves, is found without a restart. */
const LOOK_UP_MS = 30_000;
const FIRST_LOOK_UP_MS = 1_000;
/** The comparison hears of acks from the view, which tells when each member was heard last. */
const COMPARE_MS = 1_000;

/** One life of a node's membership: whichever detectors its mode asks for. */
export class Membership {
  readonly #setup: MembershipSetup;
  readonly #ports: MembershipPorts;
  readonly #lives: FormerLives;
  readonly #resolve: ResolveName;
  readonly #http: HttpPollDriver | null;
  readonly #comparison: Comparison | null;
  #heardAt: ReadonlyMap<NodeId, number> = new Map();
  readonly #timers = new Set<Timer>();
  #swim: SwimDriver | null = null;
  /** Of the voter that has applied most of the log; mode `http` alone. */
  #logWord: (LogWord & { readonly by: NodeId }) | null = null;
  /** Whom polling leaves alone. */
  #forgotten: ReadonlySet<NodeId> = new Set();
  #metadata: Metadata;
  #keys: readonly Uint8Array[];
  /** The seeds that the core has, as text. */
  #seeded = "";
  #isClosed = false;

  constructor(setup: MembershipSetup, lives: FormerLives, ports: MembershipPorts) {
    this.#setup = setup;
    this.#ports = ports;
    this.#lives = lives;
    this.#resolve = rememberingResolver(ports.resolve, ports.timers);
    this.#keys = setup.keys;
    this.#metadata = { ...setup.metadata, keys: keyNames(ports.aead, setup.keys) };
    this.#comparison = setup.mode === "hybrid" ? new Comparison(this.#now()) : null;
    this.#http = setup.mode === "swim" ? null : this.#startHttp();
    if (this.#comparison !== null) this.#timers.add(ports.timers.every(COMPARE_MS, () => this.#hearFromView()));
  }

  /** Resolves once SWIM has begun to join, or at once where it does not run. Refused: what `createSwim` refuses. */
  async join(): Promise<Outcome<void>> {
    const { sockets } = this.#ports;
    if (this.#setup.mode === "http" || sockets === null) return accepted(undefined);
    const [addresses, seeds] = await Promise.all([this.#ownAddresses(), this.#seeds()]);
    if (this.#isClosed) return accepted(undefined);
    const started = SwimDriver.start(
      {
        id: this.#setup.id,
        label: this.#setup.label,
        epoch: this.#lives.epoch,
        addresses,
        metadata: this.#metadata,
        options: this.#setup.swim,
        seeds,
        keys: this.#keys,
        aead: this.#ports.aead,
        random: this.#ports.random,
        allow: this.#setup.allow,
      },
      this.#recalled(),
      { ...this.#ports, ...sockets, onEvent: (event) => this.#swimEvent(event) },
    );
    if (!started.ok) return started;
    this.#swim = started.value;
    this.#seeded = JSON.stringify(seeds);
    // A name that was not known yet is asked for soon.
    this.#lookUpIn(seeds.length < this.#setup.seeds.length ? FIRST_LOOK_UP_MS : LOOK_UP_MS);
    return accepted(undefined);
  }

  /** The process answers but its main thread is late: a hint for whoever would give it work. */
  setDegraded(degraded: boolean): void {
    if (this.#metadata.degraded === degraded) return;
    this.#metadata = { ...this.#metadata, degraded };
    this.#swim?.command({ kind: "set-metadata", metadata: this.#metadata });
  }

  /** Main has not been heard for `lagMs`. Its machine is short of something, so this node takes more time before it accuses others. */
  reportLag(lagMs: number): void {
    this.#swim?.command({ kind: "report-lag", lagMs });
  }

  /** From now on these keys open, and the first of them seals. Told to the others, so that a rotation sees whom it has reached. */
  setKeys(keys: readonly Uint8Array[]): void {
    const [primary] = keys;
    if (primary === undefined) return;
    const gone = this.#keys.filter((old) => !keys.some((key) => isSameKey(old, key)));
    this.#keys = keys;
    this.#metadata = { ...this.#metadata, keys: keyNames(this.#ports.aead, keys) };
    for (const key of keys) this.#swim?.command({ kind: "install-key", key });
    this.#swim?.command({ kind: "use-key", key: primary });
    for (const key of gone) this.#swim?.command({ kind: "remove-key", key });
    this.#swim?.command({ kind: "set-metadata", metadata: this.#metadata });
  }

  /** What the log says of removed members. A refusal is none of anybody's business: the member is not known here, say. */
  remove(removals: readonly Removal[]): void {
    for (const removal of removals) this.#swim?.command(removal);
  }

  /** A peer has asked for this node's status. */
  contact(id: NodeId): void {
    this.#http?.contact(id);
  }

  /**
   * The status page of `by`, this node or a peer. Where only polling runs, the pages of the voters tell everybody whom the
   * operator has forgotten; elsewhere gossip does. One voter may lag behind another, so the one that has applied most counts.
   */
  hearStatus(by: NodeId, status: StatusPage): void {
    if (this.#setup.mode !== "http") return;
    const word = logWordIn(status);
    if (word === null) return;
    if (this.#logWord !== null && this.#logWord.by !== by && word.appliedIndex <= this.#logWord.appliedIndex) return;
    this.#logWord = { ...word, by };
    this.#pollAllBut(word.forgotten);
  }

  look(): MembershipLook {
    const { mode, swim: options } = this.#setup;
    const http = this.#http?.view() ?? null;
    const driver = this.#swim;
    const view = driver?.view() ?? null;
    const clauses =
      mode === "http" && http !== null
        ? httpConvergence(http)
        : view === null
          ? [{ name: "joined", broken: "this node has not begun to join" } as const]
          : swimConvergence(view, options);
    return {
      mode,
      boot: String(view?.self.incarnation.epoch ?? this.#lives.epoch),
      swim: driver === null || view === null ? null : { view, counters: driver.counters, selfTest: this.#selfTest(view, driver) },
      http,
      comparison: this.#compare(view),
      clauses,
    };
  }

  /** Members held alive or suspect, this node included; null before there is a view. Asked every second, so cheaper than a look. */
  present(): number | null {
    if (this.#setup.mode !== "http") return this.#swim?.present ?? null;
    const peers = this.#http?.view().peers ?? [];
    return 1 + peers.filter(({ state }) => state === "alive" || state === "suspect").length;
  }

  /** Says goodbye and resolves once that was said often enough, at the latest after the leave timeout. */
  async leave(): Promise<void> {
    const swim = this.#swim;
    if (swim !== null && !swim.isSilent) {
      swim.command({ kind: "leave", as: "left" });
      const { promise, resolve } = Promise.withResolvers<void>();
      const poll = this.#ports.timers.every(20, () => {
        if (swim.isSilent) resolve();
      });
      await promise;
      poll.cancel();
    }
    this.close();
  }

  /** Falls silent without a word, so that the others declare this life dead. */
  fail(): void {
    this.#swim?.command({ kind: "leave", as: "failed" });
    this.close();
  }

  close(): void {
    this.#isClosed = true;
    for (const timer of this.#timers) timer.cancel();
    this.#http?.close();
    this.#swim?.close();
  }

  #now() {
    return this.#ports.clock.now().monotonicMs;
  }

  /**
   * A removal that the operator took back is told of for as long as a tombstone stands. A node that was away for longer may have
   * missed both, and would remove the member once more: such a one learns from the others who was removed.
   */
  #recalled(): readonly MemberRecord[] {
    const { members, wallMs } = this.#lives;
    const awayMs = wallMs === null ? Infinity : this.#ports.clock.now().wallMs - wallMs;
    return awayMs < this.#setup.swim.tombstoneMs ? members : members.filter(({ state }) => state !== "removed");
  }

  #selfTest(view: MembershipView, { counters }: SwimDriver): SelfTest {
    const { wallMs } = this.#lives;
    const clockIsBehind = wallMs !== null && this.#ports.clock.now().wallMs < wallMs;
    return selfTestOf(view, counters, { ...this.#ports.machine, clockIsBehind }, this.#setup.swim);
  }

  #startHttp(): HttpPollDriver {
    const { clock, timers, get, random, onHttpEvent } = this.#ports;
    return new HttpPollDriver(createHttpPoll(this.#setup.httpPoll, random), this.#setup.peers, {
      clock,
      timers,
      get,
      onHeard: (id, boot, status) => {
        this.#comparison?.heard(this.#now(), id, boot);
        this.hearStatus(id, status);
      },
      onEvent: (event) => {
        const statement = statementOfHttp(event);
        if (statement !== null) this.#comparison?.report(this.#now(), "http", statement);
        onHttpEvent(event);
      },
    });
  }

  #swimEvent(event: SwimEvent): void {
    const statement = statementOfSwim(event);
    if (statement !== null) this.#comparison?.report(this.#now(), "swim", statement);
    this.#ports.onSwimEvent(event);
  }

  #hearFromView(): void {
    if (this.#swim === null || this.#comparison === null) return;
    const { members } = this.#swim.view();
    const heard = new Map<NodeId, number>();
    for (const { record, heardAt } of members) {
      if (heardAt === null) continue;
      heard.set(record.id, heardAt);
      if (this.#heardAt.get(record.id) === heardAt) continue;
      this.#comparison.heard(heardAt, record.id, String(record.incarnation.epoch));
    }
    this.#heardAt = heard;
    this.#pollAllBut(new Set(members.flatMap(({ record }) => (record.state === "removed" ? [record.id] : []))));
    const polled = this.#http?.view().peers ?? [];
    this.#comparison.retain(this.#now(), new Set([...members.map(({ record }) => record.id), ...polled.map(({ id }) => id)]));
  }

  /** A readmitted one is asked again. */
  #pollAllBut(forgotten: ReadonlySet<NodeId>): void {
    if (forgotten.size === this.#forgotten.size && [...forgotten].every((id) => this.#forgotten.has(id))) return;
    this.#forgotten = forgotten;
    this.#http?.setPeers(this.#setup.peers.filter(({ id }) => !forgotten.has(id)));
  }

  #compare(view: MembershipView | null): ComparisonView | null {
    if (this.#comparison === null) return null;
    if (view !== null) this.#comparison.countMessages("swim", this.#swim?.counters.messagesSent ?? 0);
    this.#comparison.countMessages("http", this.#http?.view().polls ?? 0);
    return this.#comparison.view(this.#now());
  }

  #seeds() {
    return seedsOf(this.#setup.seeds, this.#resolve);
  }

  /** A node that nobody could dial is no member: it waits for an address. */
  async #ownAddresses() {
    for (let told = false; ; told = true) {
      const addresses = await addressesOf(this.#setup.advertise, this.#resolve);
      if (addresses.length > 0 || this.#isClosed) return addresses.slice(0, MAX_ADDRESSES);
      if (!told) this.#ports.onUnresolved(this.#setup.advertise);
      await new Promise<void>((resolve) => this.#ports.timers.after(FIRST_LOOK_UP_MS, resolve));
    }
  }

  #lookUpIn(delayMs: number): void {
    const timer = this.#ports.timers.after(delayMs, () => {
      this.#timers.delete(timer);
      void this.#lookUpAgain();
    });
    this.#timers.add(timer);
  }

  async #lookUpAgain(): Promise<void> {
    const [addresses, seeds] = await Promise.all([addressesOf(this.#setup.advertise, this.#resolve), this.#seeds()]);
    const swim = this.#swim;
    if (this.#isClosed || swim === null || swim.isSilent) return;
    if (addresses.length > 0) swim.command({ kind: "set-addresses", addresses: addresses.slice(0, MAX_ADDRESSES) });
    if (seeds.length > 0 && JSON.stringify(seeds) !== this.#seeded) {
      this.#seeded = JSON.stringify(seeds);
      swim.command({ kind: "join", seeds });
    }
    this.#lookUpIn(seeds.length < this.#setup.seeds.length ? FIRST_LOOK_UP_MS : LOOK_UP_MS);
  }
}

/** Of a member's record on the wire. */
const MAX_ADDRESSES = 8;

/** As `Metadata.keys` tells them. */
function keyNames(aead: Aead, keys: readonly Uint8Array[]): readonly number[] {
  return keys.map((key) => Number.parseInt(aead.importKey(key).fingerprint.slice(0, 8), 16));
}

function isSameKey(one: Uint8Array, other: Uint8Array): boolean {
  return one.length === other.length && one.every((byte, at) => byte === other[at]);
}
