import type { NodeId } from "#kernel";
import {
  isPresent,
  type MemberRecord,
  type MemberState,
  type ProfileHash,
  type SwimCore,
  type SwimEvent,
} from "#membership/core";
import { Detection } from "./detection.ts";
import { announcedBy, type Machine } from "./machine.ts";
import type { SimMember } from "./member.ts";
import type { MetricOf } from "./metrics.ts";
import { Traffic } from "./traffic.ts";

/** What one run gave. Moments count from the end of the warm-up. */
export interface RunMeasures {
  readonly samples: Readonly<Record<MetricOf<"samples">, readonly Sample[]>>;
  /** When each happened. */
  readonly events: Readonly<Record<MetricOf<"events">, readonly number[]>>;
  readonly counts: Readonly<Record<MetricOf<"count">, number>>;
  readonly traffic: Traffic;
}

export interface Sample {
  readonly atMs: number;
  readonly value: number;
  /** The member that it is about, where an expectation may ask for that. */
  readonly of: number | null;
}

/** A start, a change of address or the loss of a relay that not all have noticed yet. */
interface Announcement {
  readonly kind: "rejoined" | "moved" | "relay-replaced";
  readonly process: SimMember;
  readonly atMs: number;
  /** Whether an observer that holds this of the member knows. */
  readonly isKnown: (held: MemberRecord, own: MemberRecord) => boolean;
  /** Who did not know at the last look: most looks end with asking it again. */
  ignorant: number | null;
}

/** After a fault has ended its node counts as faulty for this long: what it did while sick still spreads. */
const RECOVERY_MS = 60_000;
/** A verdict of this age about a paused member, or about the former life of one that lost its disk, is no false one. */
const THAW_MS = 5_000;
const FORMER_LIFE_MS = 30_000;

const GROWN_MS = 10_000;

const HELD: Readonly<Record<MemberState, number>> = { alive: 1, suspect: 2, dead: 3, left: 4, removed: 5 };
const UNKNOWN = 0;

/** Watches a run from outside: the truth is what the script did, the members' events and views are judged by it. */
export class Measures {
  readonly #machines: readonly Machine[];
  readonly #nodes: number;
  readonly #now: () => number;
  readonly #indexOf = new Map<NodeId, number>();
  readonly #held: Uint8Array;
  readonly #suspectedBy: Uint16Array;
  readonly #suspectedSinceMs: Float64Array;
  /** How many faults hold a machine, and when the last one ended. */
  readonly #faults: Uint8Array;
  readonly #recoveredMs: Float64Array;
  readonly #detections = new Map<number, Detection>();
  readonly #announcements = new Set<Announcement>();
  readonly #suspicions = new Set<string>();
  /** By what numbers members run, as far as others found them to differ. */
  readonly #profiles = new Map<NodeId, ProfileHash>();
  /** Whose digest differed at the last look. */
  #dissenter: number | null = null;
  readonly #flips = new Map<number, number>();
  /** Since when nothing has changed and digests may become equal; null when they are, or a fault holds someone. */
  #unsettledSinceMs: number | null = null;
  readonly #samples: Record<MetricOf<"samples">, Sample[]> = {
    "first-suspicion": [],
    "first-dead": [],
    "known-everywhere": [],
    rejoined: [],
    moved: [],
    "relay-replaced": [],
    "suspicion-cleared": [],
    converged: [],
    "called-converged": [],
    missing: [],
  };
  /** The moments of what is counted. */
  readonly #events: Record<MetricOf<"events">, number[]> = {
    undetected: [],
    "odd-detections": [],
    crashes: [],
    "false-deaths": [],
    "false-deaths-at-healthy": [],
    "false-deaths-at-faulty": [],
    "deaths-of-running": [],
    suspicions: [],
    flaps: [],
    comings: [],
    goings: [],
    "path-changes": [],
    conflicts: [],
    "called-converged-too-soon": [],
  };
  #missing = 0;
  /** Someone's view, or the set of those that run, has changed since it was last counted who is missing. */
  #isDirty = true;
  #isMeasuring = false;
  #startMs = 0;
  #fingerprint = 0;
  readonly #traffic: Traffic;

  constructor(machines: readonly Machine[], nodes: number, runMs: number, now: () => number) {
    this.#machines = machines;
    this.#nodes = nodes;
    this.#now = now;
    for (const { id, index } of machines) if (index < nodes) this.#indexOf.set(id, index);
    this.#held = new Uint8Array(machines.length * nodes);
    this.#suspectedBy = new Uint16Array(nodes);
    this.#suspectedSinceMs = new Float64Array(nodes);
    this.#faults = new Uint8Array(machines.length);
    this.#recoveredMs = new Float64Array(machines.length).fill(Number.NEGATIVE_INFINITY);
    this.#traffic = new Traffic(machines.length, runMs);
  }

  get traffic(): Traffic {
    return this.#traffic;
  }

  /** The warm-up is over. */
  begin(): void {
    this.#isMeasuring = true;
    this.#startMs = this.#now();
    this.#announcements.clear();
    this.#unsettledSinceMs = null;
  }

  get isMeasuring(): boolean {
    return this.#isMeasuring;
  }

  get atMs(): number {
    return this.#now() - this.#startMs;
  }

  /** Of everything sent and reported, in order: equal for two runs of one seed. */
  get fingerprint(): string {
    return (this.#fingerprint >>> 0).toString(16).padStart(8, "0");
  }

  mark(a: number, b: number): void {
    let hash = Math.imul(this.#fingerprint ^ a, 0x85eb_ca6b);
    hash = Math.imul(hash ^ (hash >>> 15) ^ b, 0xc2b2_ae35) ^ Math.floor(this.#now() * 1_000);
    this.#fingerprint = hash ^ (hash >>> 13);
  }

  isHealthy(index: number): boolean {
    const { process } = this.#machines[index]!;
    return process !== null && this.#faults[index] === 0 && this.#now() - this.#recoveredMs[index]! >= RECOVERY_MS;
  }

  /** A fault takes hold of a machine. */
  faultBegins({ index }: Machine): void {
    this.#faults[index]! += 1;
    this.#unsettledSinceMs = null;
    for (const detection of this.#detections.values()) this.#noticed(detection, index);
  }

  faultEnds({ index }: Machine): void {
    this.#faults[index]! -= 1;
    this.#recoveredMs[index] = this.#now();
    this.changed();
  }

  /** Something changed in the cluster: from now on its members have to agree anew. */
  changed(): void {
    this.#isDirty = true;
    this.#unsettledSinceMs = this.#faults.every((count) => count === 0) ? this.#now() : null;
  }

  crashed(machine: Machine): void {
    const { index } = machine;
    this.#forgetObserver(index);
    this.changed();
    if (!this.#isMeasuring || index >= this.#nodes) return;
    this.happened("crashes");
    this.#closeDetection(index);
    const observers: number[] = [];
    for (const { index: observer } of this.#machines) {
      if (observer < this.#nodes && observer !== index && this.isHealthy(observer) && this.#holdsRunning(observer, index))
        observers.push(observer);
    }
    this.#detections.set(index, new Detection(this.#now(), observers));
    for (const { nat, process } of this.#machines) if (nat !== null && process !== null) this.#noteRelayLost(process, machine);
  }

  /** Whoever has no way in lives by its relays. */
  #noteRelayLost(client: SimMember, relay: Machine): void {
    if (!ownRecord(client).relays.includes(relay.id)) return;
    const isKnown = ({ relays }: MemberRecord): boolean => relays.length > 0 && !relays.includes(relay.id);
    this.#announce("relay-replaced", client, isKnown);
  }

  /** A process that says goodbye is gone: no crash. */
  stopped({ index }: Machine): void {
    this.#forgetObserver(index);
    this.changed();
  }

  /** Everyone runs, and holds all others alive. */
  startedWarm(): void {
    this.#held.fill(HELD.alive, 0, this.#nodes * this.#nodes);
    for (let index = 0; index < this.#nodes; index += 1) this.#held[index * this.#nodes + index] = UNKNOWN;
  }

  started(process: SimMember): void {
    const { index } = process.machine;
    if (index >= this.#nodes) return;
    this.#closeDetection(index);
    this.changed();
    if (!this.#isMeasuring) return;
    // Others may hold its former life suspect or dead for a while.
    this.#recoveredMs[index] = this.#now();
    this.#announce("rejoined", process, (held, own) => holdsThisLife(held, process, own));
  }

  moved(process: SimMember): void {
    this.changed();
    this.#announce("moved", process, (held, own) => holdsThisLife(held, process, own));
  }

  #announce(kind: Announcement["kind"], process: SimMember, isKnown: Announcement["isKnown"]): void {
    this.#announcements.add({ kind, process, atMs: this.#now(), isKnown, ignorant: null });
  }

  event(observer: SimMember, event: SwimEvent): void {
    this.mark(observer.machine.index, event.kind.length);
    switch (event.kind) {
      case "joined":
      case "suspected":
      case "refuted":
      case "died":
      case "recovered":
      case "left":
      case "removed":
        return this.#memberEvent(observer, event);
      case "address-changed": {
        const member = this.#indexOf.get(event.member.id);
        if (member === undefined || !this.#isMeasuring) return;
        const key = observer.machine.index * this.#nodes + member;
        this.#flips.set(key, (this.#flips.get(key) ?? 0) + 1);
        return;
      }
      case "conflict":
        if (this.#isMeasuring && event.id === observer.machine.id && !event.survives) this.happened("conflicts");
        return;
      case "profile-mismatch":
        this.#profiles.set(observer.machine.id, event.ours).set(event.peer, event.theirs);
        return;
      case "path-changed":
        if (this.#isMeasuring) this.happened("path-changes");
        return;
      default:
    }
  }

  /** How many others the machine's process holds alive or suspect. */
  heldRunning({ index }: Machine): number {
    let held = 0;
    for (let member = 0; member < this.#nodes; member += 1) if (this.#holdsRunning(index, member)) held += 1;
    return held;
  }

  /** Every second: who is missing where, and who ran. */
  second(): void {
    if (!this.#isMeasuring) return;
    const running = this.#machines.filter(({ process, index }) => process !== null && index < this.#nodes);
    for (const machine of running) this.#traffic.add("runningMs", this.atMs, machine, 1_000);
    // A look at everyone by everyone is dear, and in a quiet cluster nothing has changed since the last one.
    if (this.#isDirty) this.#missing = this.#worstMissing(running);
    this.#isDirty = running.some((machine) => !this.#isGrown(machine));
    this.sample("missing", this.#missing);
  }

  #worstMissing(running: readonly Machine[]): number {
    const grown = Int32Array.from(running.filter((machine) => this.#isGrown(machine)).map(({ index }) => index));
    let worst = 0;
    for (const observer of grown) {
      let missing = 0;
      for (const member of grown) if (member !== observer && !this.#holdsRunning(observer, member)) missing += 1;
      worst = Math.max(worst, missing);
    }
    return worst;
  }

  /** Whoever has only just started knows nobody yet, and is known by nobody. */
  #isGrown({ process }: Machine): boolean {
    return process !== null && this.#now() - process.startedMs >= GROWN_MS;
  }

  /** Looks at what the members show: asked often while something is on its way, and never otherwise. */
  look(): void {
    if (!this.#isMeasuring || (this.#announcements.size === 0 && this.#unsettledSinceMs === null)) return;
    const observers = this.#machines.filter(({ index, process }) => process !== null && !process.isPaused && index < this.#nodes);
    for (const announcement of this.#announcements) this.#lookFor(announcement, observers);
    if (this.#unsettledSinceMs === null || !this.#isSettled(observers)) return;
    this.sample("converged", this.#now() - this.#unsettledSinceMs);
    this.#unsettledSinceMs = null;
  }

  /** Whether all agree, and what they agree on is what runs. */
  #isSettled(observers: readonly Machine[]): boolean {
    const [first] = observers;
    if (first === undefined) return true;
    const { core } = first.process!;
    const running = this.#machines.filter(({ process, index }) => process !== null && index < this.#nodes);
    if (core.present !== running.length || !running.every(({ id }) => holdsPresent(core, id))) return false;
    const { digest } = core;
    const dissenter = lastFirst(observers, this.#dissenter).find(({ process }) => process!.core.digest !== digest);
    this.#dissenter = dissenter?.index ?? null;
    return dissenter === undefined;
  }

  result(): RunMeasures {
    const cores = this.#machines.flatMap(({ process }) => (process === null || process.isPaused ? [] : [process.core]));
    for (const index of this.#detections.keys()) this.#closeDetection(index);
    const counters = cores.map((core) => core.counters);
    return {
      samples: this.#samples,
      events: this.#events,
      counts: {
        "not-rejoined": this.#announcements.size,
        "not-converged": new Set(cores.map(({ digest }) => digest)).size > 1 ? 1 : 0,
        "profile-mismatches": othersThanMost([...this.#profiles.values()]),
        "address-flips": Math.max(0, ...this.#flips.values()),
        "rejected-packets": sum(counters.flatMap(({ rejected }) => Object.values(rejected))),
        "self-healed": sum(counters.map(({ selfHealed }) => selfHealed)),
        "late-packets-to-old-addresses": this.#traffic.lateToOldAddresses,
        "packets-under-removed-keys": this.#traffic.underRemovedKeys,
        "packets-in-any-second": this.#traffic.most,
      },
      traffic: this.#traffic,
    };
  }

  #memberEvent(observer: SimMember, event: Extract<SwimEvent, { readonly member: unknown }>): void {
    const { index } = observer.machine;
    const member = this.#indexOf.get(event.member.id);
    if (member === undefined || index >= this.#nodes) return;
    const before = this.#held[index * this.#nodes + member]!;
    this.#hold(index, member, HELD[event.member.state]);
    if (!this.#isMeasuring) return;
    const detection = this.#detections.get(member);
    detection?.reported(index, event.kind);
    if (event.kind === "died" || event.kind === "left" || event.kind === "removed") this.happened("goings");
    else if ((event.kind === "joined" || event.kind === "recovered") && this.#isGrown(observer.machine)) this.happened("comings");
    switch (event.kind) {
      case "suspected":
        if (detection !== undefined && !detection.isSuspected) {
          detection.isSuspected = true;
          this.sample("first-suspicion", this.#now() - detection.atMs);
        }
        if (this.isHealthy(member)) {
          const { epoch, counter } = event.member.incarnation;
          const suspicion = `${member}:${epoch}.${counter}`;
          if (!this.#suspicions.has(suspicion)) this.happened("suspicions");
          this.#suspicions.add(suspicion);
        }
        return;
      case "died":
        if (detection !== undefined && !detection.isDead) {
          detection.isDead = true;
          this.sample("first-dead", this.#now() - detection.atMs);
        }
        this.#judgeDeath(index, member, event.member.incarnation.epoch);
        break;
      case "recovered": {
        const { process } = this.#machines[member]!;
        if (before === HELD.dead && process !== null && this.#now() - process.startedMs > RECOVERY_MS) this.happened("flaps");
        return;
      }
      default:
    }
    if (detection !== undefined && !this.#holdsRunning(index, member)) this.#noticed(detection, index);
  }

  #judgeDeath(observer: number, member: number, epoch: number): void {
    const { process } = this.#machines[member]!;
    if (process === null || process.isPaused || this.#now() - process.resumedMs < THAW_MS) return;
    const { life, startedMs } = process;
    if (epoch < life.epoch || (life.hasLostState && this.#now() - startedMs < FORMER_LIFE_MS)) return;
    this.happened("deaths-of-running");
    if (!this.isHealthy(member)) return;
    this.happened("false-deaths");
    this.happened(this.isHealthy(observer) ? "false-deaths-at-healthy" : "false-deaths-at-faulty");
  }

  #hold(observer: number, member: number, state: number): void {
    const at = observer * this.#nodes + member;
    const before = this.#held[at]!;
    if (before === state) return;
    this.#held[at] = state;
    this.#isDirty = true;
    if (state === HELD.suspect && this.#suspectedBy[member]!++ === 0) this.#suspectedSinceMs[member] = this.#now();
    if (before !== HELD.suspect || --this.#suspectedBy[member]! > 0) return;
    const { process } = this.#machines[member]!;
    const sinceMs = this.#suspectedSinceMs[member]!;
    if (this.#isMeasuring && process !== null && process.startedMs < sinceMs && state === HELD.alive) {
      this.sample("suspicion-cleared", this.#now() - sinceMs, member);
    }
  }

  #holdsRunning(observer: number, member: number): boolean {
    const held = this.#held[observer * this.#nodes + member];
    return held === HELD.alive || held === HELD.suspect;
  }

  #forgetObserver(index: number): void {
    if (index >= this.#nodes) return;
    for (let member = 0; member < this.#nodes; member += 1) this.#hold(index, member, UNKNOWN);
    for (const detection of this.#detections.values()) this.#noticed(detection, index);
    for (const each of this.#announcements) if (each.process.machine.index === index) this.#announcements.delete(each);
  }

  #noticed(detection: Detection, observer: number): void {
    if (!detection.waiting.delete(observer) || detection.waiting.size > 0) return;
    this.sample("known-everywhere", this.#now() - detection.atMs);
  }

  #closeDetection(index: number): void {
    const detection = this.#detections.get(index);
    if (detection === undefined) return;
    if (detection.waiting.size > 0) this.happened("undetected");
    for (const observer of detection.odd) if (this.isHealthy(observer)) this.happened("odd-detections");
    this.#detections.delete(index);
  }

  #lookFor(announcement: Announcement, observers: readonly Machine[]): void {
    const { kind, process, atMs, isKnown, ignorant } = announcement;
    if (!observers.includes(process.machine)) return;
    const own = ownRecord(process);
    const unaware = lastFirst(observers, ignorant).find((observer) => {
      if (observer === process.machine || !this.#isJudge(observer.index)) return false;
      const held = observer.process!.core.record(own.id);
      return held === null || !isKnown(held, own);
    });
    announcement.ignorant = unaware?.index ?? null;
    if (unaware !== undefined) return;
    this.#announcements.delete(announcement);
    this.sample(kind, this.#now() - atMs);
  }

  /** A healthy observer, or one that was only just started itself. */
  #isJudge(observer: number): boolean {
    return this.#faults[observer] === 0;
  }

  happened(metric: MetricOf<"events">): void {
    this.#events[metric].push(this.atMs);
  }

  sample(metric: MetricOf<"samples">, value: number, of: number | null = null): void {
    if (this.#isMeasuring) this.#samples[metric].push({ atMs: this.atMs, value, of });
  }
}

function ownRecord({ core, machine }: SimMember): MemberRecord {
  return core.record(machine.id)!;
}

function holdsPresent(core: SwimCore, id: NodeId): boolean {
  const held = core.record(id);
  return held !== null && isPresent(held);
}

function holdsThisLife(held: MemberRecord, { machine, life }: SimMember, own: MemberRecord): boolean {
  if (held.state !== "alive") return false;
  const { incarnation, addresses } = held;
  // A life that lost its disk may have begun below what the others remember: it counts once they hold what it claims now.
  if (life.hasLostState && (incarnation.epoch !== own.incarnation.epoch || incarnation.counter < own.incarnation.counter))
    return false;
  return incarnation.epoch >= life.epoch && announcedBy(machine).every((address) => addresses.includes(address));
}

/** The machines, that of this index in front. */
function lastFirst(machines: readonly Machine[], index: number | null): readonly Machine[] {
  const last = index === null ? undefined : machines.find((machine) => machine.index === index);
  return last === undefined ? machines : [last, ...machines];
}

/** How many are not the commonest one. */
function othersThanMost(values: readonly unknown[]): number {
  const counts = new Map<unknown, number>();
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
  return values.length - Math.max(0, ...counts.values());
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, each) => total + each, 0);
}
