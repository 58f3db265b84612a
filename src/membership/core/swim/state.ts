import type { MonotonicMs, NodeId, Random } from "#kernel";
import type { AllowList } from "./allow-list.ts";
import { Awareness } from "./awareness.ts";
import { BroadcastQueue } from "./broadcast-queue.ts";
import { newCounters } from "./counters.ts";
import type { Dormancy } from "./dormant.ts";
import { FlapDamping } from "./flap.ts";
import type { Help } from "./help.ts";
import type { Keyring } from "./keyring.ts";
import { MemberNumbers } from "./member-numbers.ts";
import { MemberTable } from "./member-table.ts";
import { ProbeNumber, type RelayableMessage } from "./message.ts";
import type { SwimOptions } from "./options.ts";
import { Path } from "./path.ts";
import { ProbeOrder } from "./probe-order.ts";
import type { RunningProbe } from "./probe.ts";
import { profileHashOf } from "./profile-hash.ts";
import type { Source } from "./send.ts";
import type { SwimSetup } from "./setup.ts";
import type { Stream } from "./streams.ts";
import type { RunningSuspicion } from "./suspecting.ts";
import { type Timer, TimerHeap } from "./timers.ts";
import type {
  Address,
  Lifecycle,
  MemberRecord,
  ProfileHash,
  Reach,
  RejectReason,
  Seed,
  StreamId,
  SwimEvent,
  Transmission,
} from "./types.ts";
import { Uplinks } from "./uplinks.ts";
import { Wire } from "./wire.ts";

/** All that one member remembers. The parts of the protocol are functions over it and keep nothing themselves. */
export class SwimState {
  readonly id: NodeId;
  readonly options: SwimOptions;
  readonly random: Random;
  readonly profile: ProfileHash;
  readonly keyring: Keyring;
  readonly allow: AllowList;
  readonly wire: Wire;

  /** Of the input that is being handled, and where it came from if it is a packet. */
  now: MonotonicMs;
  source: Source | null = null;
  lifecycle: Lifecycle = "alone";
  /** While conflicted or removed. */
  dormancy: Dormancy | null = null;

  readonly events: SwimEvent[] = [];
  readonly transmissions: Transmission[] = [];
  readonly timers = new TimerHeap();
  /** Late verdicts that wait until the sockets were read. */
  postponed: ReadonlySet<Timer> = new Set();
  readonly counters = newCounters();

  readonly members: MemberTable;
  readonly order: ProbeOrder;
  readonly awareness: Awareness;
  readonly flaps: FlapDamping;
  broadcasts = new BroadcastQueue<NodeId, RelayableMessage>();
  readonly suspicions = new Map<NodeId, RunningSuspicion>();
  readonly #numbers: MemberNumbers;
  /** By number. */
  readonly #paths: (Path | undefined)[];

  probe: RunningProbe | null = null;
  readonly helps = new Map<ProbeNumber, Help>();
  gossiping = false;
  /** Datagrams that took gossip along since the last gossip tick. */
  carriers = 0;
  /** When this node ran again after it had stood still for a period or more. */
  stalledAt: MonotonicMs | null = null;
  /** Pings answered since then, while the socket is read. */
  overdueAcks = 0;
  isFull = false;
  /** When others last said of this node that it does not answer. */
  accusedAt: MonotonicMs | null = null;

  seeds: readonly Seed[] = [];
  recalled: readonly Seed[] = [];
  joinAttempt = 0;
  readonly reconnects = new Map<NodeId, number>();
  /** The latest deaths, the oldest first. */
  deaths: readonly { readonly id: NodeId; readonly at: MonotonicMs }[] = [];
  partition: readonly NodeId[] | null = null;

  readonly streams = new Map<StreamId, Stream>();
  nextStream = 1;
  readonly uplinks: Uplinks;
  /** Members whose relay this node is, by their stream. */
  readonly clients = new Map<NodeId, StreamId>();

  /** When the own view changed last. */
  changedAt: MonotonicMs;
  /** When anybody was heard last. */
  heardAt: MonotonicMs;
  nextRecheckAt: MonotonicMs;
  nextRepairAt: MonotonicMs;
  /** How long this node did not run although it should have, in all. */
  stalledMs = 0;
  reapAt: MonotonicMs | null = null;
  /** Addresses at which others see this node, beside those it gives. */
  readonly observed = new Map<Address, MonotonicMs>();
  /** Another process was met under this node's name, and that was told. */
  rivalTold = false;
  readonly mismatched = new Set<NodeId>();
  readonly #rejectedAt = new Map<RejectReason, MonotonicMs>();
  #nextProbe: number;
  #nextSuspicion = 0;

  constructor(now: MonotonicMs, setup: SwimSetup, { keyring, allow }: { readonly keyring: Keyring; readonly allow: AllowList }) {
    this.id = setup.id;
    this.options = setup.options;
    this.random = setup.random;
    this.profile = profileHashOf(setup.options);
    this.keyring = keyring;
    this.allow = allow;
    const sealing = { label: setup.label, keyring, aead: setup.aead, members: () => this.members.size };
    this.wire = new Wire(sealing, setup.options, this.counters);
    this.now = now;
    this.#numbers = setup.numbers ?? new MemberNumbers();
    this.members = new MemberTable(
      now,
      {
        id: setup.id,
        incarnation: { epoch: setup.epoch, counter: 0 },
        state: "alive",
        addresses: setup.addresses,
        reach: "direct",
        relays: [],
        metadata: setup.metadata,
        accuser: null,
      },
      setup.options,
      this.#numbers,
      setup.members?.length,
    );
    this.order = new ProbeOrder(setup.random, this.#numbers, setup.members?.length);
    this.#paths = Array.from({ length: setup.members?.length ?? 0 });
    this.awareness = new Awareness(setup.options);
    this.flaps = new FlapDamping(setup.options);
    this.uplinks = new Uplinks(now, setup.options.periodMs);
    this.changedAt = now;
    this.heardAt = now;
    this.nextRecheckAt = now;
    this.nextRepairAt = now;
    // A former life's answers must not be taken for this one's.
    this.#nextProbe = Math.floor(setup.random() * 2 ** 32);
  }

  get isSilent(): boolean {
    return this.lifecycle === "left" || this.lifecycle === "conflicted" || this.lifecycle === "removed";
  }

  path(id: NodeId): Path {
    const known = this.knownPath(id);
    if (known !== null) return known;
    const path = new Path();
    const number = this.#numbers.hold(id);
    while (this.#paths.length < number) this.#paths.push(undefined);
    this.#paths[number] = path;
    return path;
  }

  knownPath(id: NodeId): Path | null {
    const number = this.#numbers.of(id);
    return number === undefined ? null : (this.#paths[number] ?? null);
  }

  /** The member's own word first: one observer's path may be better or worse. */
  reachOf({ id, reach }: MemberRecord): Reach {
    return reach === "direct" ? (this.knownPath(id)?.reach ?? "direct") : reach;
  }

  newProbeNumber(): ProbeNumber {
    this.#nextProbe = ProbeNumber(this.#nextProbe + 1);
    return ProbeNumber(this.#nextProbe);
  }

  newSuspicionNumber(): number {
    this.#nextSuspicion += 1;
    return this.#nextSuspicion;
  }

  changeHealth(change: (awareness: Awareness) => void): void {
    const before = this.awareness.multiplier;
    change(this.awareness);
    const multiplier = this.awareness.multiplier;
    if (multiplier !== before) this.events.push({ kind: "health-changed", multiplier });
  }

  /** Counted always, told once a second for each reason: whoever floods a node does not flood its log. */
  reject(reason: RejectReason, from: Address | null): void {
    this.counters.rejected[reason] += 1;
    const toldAt = this.#rejectedAt.get(reason);
    if (toldAt !== undefined && this.now - toldAt < 1_000) return;
    this.#rejectedAt.set(reason, this.now);
    this.events.push({ kind: "rejected", reason, from });
  }

  selfHealed(what: string): void {
    this.counters.selfHealed += 1;
    this.events.push({ kind: "self-healed", what });
  }

  /** Forgotten: nothing of the member stays. */
  forget(id: NodeId): void {
    this.#forgetPath(id);
    this.suspicions.delete(id);
    this.reconnects.delete(id);
    this.mismatched.delete(id);
    this.flaps.forget(id);
    this.uplinks.forget(id);
    this.broadcasts.drop(id);
  }

  #forgetPath(id: NodeId): void {
    const number = this.#numbers.of(id);
    if (number === undefined || this.#paths[number] === undefined) return;
    this.#paths[number] = undefined;
    this.#numbers.release(number);
  }
}
