import { type MonotonicMs, NodeId } from "#kernel";
import { asReceived, MemberNumbers, type MemberRecord, type Seed, type SwimCore, type SwimEvent } from "#membership/core";
import type { Dice } from "../time/random.ts";
import type { Scheduler } from "../time/scheduler.ts";
import { hintsOf, keyNamed } from "./aead.ts";
import type { LaunchCore } from "./launch.ts";
import { announcedBy, type Machine, machineOf } from "./machine.ts";
import { Measures } from "./measures.ts";
import { type Life, SimMember } from "./member.ts";
import { SwimNetwork } from "./network.ts";
import type { Named, StateKept, SwimScript } from "./scenario/script.ts";
import { Selection } from "./selection.ts";

export interface ClusterPorts {
  readonly scheduler: Scheduler;
  readonly dice: Dice;
  readonly launch: LaunchCore;
  readonly onEvent: (member: SimMember, event: SwimEvent) => void;
}

const METADATA = {
  role: "worker",
  provider: "simulated",
  capabilities: [],
  version: "0",
  degraded: false,
  keys: [],
  voters: null,
};
const DEFAULT_LABEL = "ringraft";
const DEFAULT_KEY = "k1";
/** Where an envelope says which key sealed it; in a stream its length stands in front. */
const KEY_HINT_AT = 6;
const FRAME_LENGTH_BYTES = 4;
/** A goodbye takes the core's `leaveTimeoutMs` at most; then the process ends. */
const LEAVE_MS = 6_000;

/** The machines of one run, their processes and the network between them. */
export class Cluster {
  readonly machines: readonly Machine[];
  readonly measures: Measures;
  readonly network: SwimNetwork;
  readonly selection: Selection;
  readonly scheduler: Scheduler;
  readonly dice: Dice;
  readonly #ports: ClusterPorts;
  readonly #script: SwimScript;
  readonly #labels: ReadonlyMap<Machine, string>;
  readonly #keys: ReadonlyMap<Machine, readonly string[]>;
  readonly #settings: ReadonlyMap<Machine, Readonly<Record<string, number | boolean>>>;
  readonly #seeds: readonly Seed[];
  readonly #numbers = new MemberNumbers();
  #lives = 0;

  constructor(script: SwimScript, ports: ClusterPorts) {
    const { scheduler, dice } = ports;
    this.#script = script;
    this.#ports = ports;
    this.scheduler = scheduler;
    this.dice = dice.fork("script");
    const planes = script.network.planes.length;
    const nodes = Array.from({ length: script.nodes }, (_, index) => machineOf(index, NodeId(`n${index + 1}`), planes));
    // Machines on which a second process of an id may start: they belong to no selection.
    const twins = Array.from({ length: duplicates(script) }, (_, extra) => machineOf(script.nodes + extra, NodeId(""), planes));
    this.machines = [...nodes, ...twins];
    this.measures = new Measures(this.machines, script.nodes, script.runMs, () => scheduler.nowMs);
    this.selection = new Selection(script, nodes, dice.fork("selection"), ({ index }) => this.measures.isHealthy(index));
    this.network = new SwimNetwork(this.machines, script.network, {
      scheduler,
      dice: dice.fork("network"),
      onDatagram: (from, address, to, bytes) => {
        this.measures.mark(from.index, bytes.length);
        if (!this.measures.isMeasuring) return;
        const isGone = to !== null && to.process === null;
        this.measures.traffic.datagram(this.measures.atMs, from, { to: address, bytes: bytes.length, isGone });
        this.#lookAtKey(from, bytes, KEY_HINT_AT);
      },
      onStreamOpened: (from) => this.#count("streams", from, 1),
      onStreamAsked: (from, to) => {
        if (to !== null && to.process === null) this.#count("toTheGone", from, 1);
      },
      onStreamBytes: (from, bytes) => {
        this.#count("streamBytes", from, bytes.length);
        this.#lookAtKey(from, bytes, FRAME_LENGTH_BYTES + KEY_HINT_AT);
      },
    });
    for (const { of, planes: told } of script.announcements) {
      for (const machine of this.selection.machines(of)) machine.announced = told.map((plane) => this.planeNamed(plane));
    }
    for (const nat of script.nats) for (const machine of this.selection.machines(nat.of)) this.network.putBehindNat(machine, nat);
    this.#labels = this.#named(script.labels, (names) => names[0]!);
    this.#keys = this.#named(script.keys, (names) => names);
    this.#settings = this.#settingsOf(script);
    this.#seeds = this.selection.machines(script.seeds).map(({ id, addresses }) => ({ id, addresses }));
  }

  /** Those that run now. */
  get running(): readonly SimMember[] {
    return this.machines.flatMap(({ process }) => (process === null ? [] : [process]));
  }

  /** All at once, and all know all: what they hold is one set of records, so that there is room for many. */
  startWarm(): void {
    const nodes = this.machines.slice(0, this.#script.nodes);
    const members = asReceived(nodes.map(firstRecord));
    for (const machine of nodes) {
      machine.epoch = 1;
      this.#run(machine, { epoch: machine.epoch, hasLostState: false }, members);
    }
    this.measures.startedWarm();
  }

  start(machine: Machine, state: "kept" | "lost", moved: boolean): void {
    if (machine.process !== null) return;
    machine.isUp = true;
    if (moved) this.measures.traffic.gaveUp(this.measures.atMs, this.network.readdress(machine));
    if (state === "lost") {
      machine.epoch = 0;
      machine.snapshot = [];
    }
    machine.epoch += 1;
    this.#run(machine, { epoch: machine.epoch, hasLostState: state === "lost" });
    this.measures.started(machine.process!);
  }

  /** `machineToo`: it does not even refuse streams any more. */
  stop(machine: Machine, machineToo: boolean): void {
    const { process } = machine;
    if (process === null) return;
    if (machineToo) machine.isUp = false;
    machine.process = null;
    machine.snapshot = process.view().members.map(({ record }) => record);
    process.kill();
    this.measures.crashed(machine);
  }

  leave(machine: Machine): void {
    const { process } = machine;
    if (process === null) return;
    process.command({ kind: "leave", as: "left" });
    this.scheduler.after(LEAVE_MS, () => {
      if (machine.process !== process) return;
      machine.process = null;
      process.kill();
      this.measures.stopped(machine);
    });
  }

  /** A second process with this one's id, on a machine of its own. */
  duplicate(machine: Machine): void {
    const twin = this.machines.find(({ index, process }) => index >= this.#script.nodes && process === null)!;
    Object.assign(twin, { id: machine.id });
    this.#run(twin, { epoch: machine.epoch, hasLostState: true });
  }

  move(machine: Machine): void {
    this.measures.traffic.gaveUp(this.measures.atMs, this.network.readdress(machine));
    const { process } = machine;
    if (process === null) return;
    process.command({ kind: "set-addresses", addresses: announcedBy(machine) });
    this.measures.moved(process);
  }

  /** From now on the machine tells others of these planes only. */
  announce(machine: Machine, planes: readonly string[]): void {
    machine.announced = planes.map((plane) => this.planeNamed(plane));
    const { process } = machine;
    if (process === null) return;
    process.command({ kind: "set-addresses", addresses: announcedBy(machine) });
    this.measures.moved(process);
  }

  planeNamed(name: string): number {
    return this.#script.network.planes.indexOf(name);
  }

  /** `lost by half`: a coin per node. */
  stateOf(kept: StateKept): "kept" | "lost" {
    if (kept !== "lost by half") return kept;
    return this.dice.chance(0.5) ? "lost" : "kept";
  }

  #run(machine: Machine, life: Life, members: readonly MemberRecord[] = []): void {
    const { scheduler, dice, launch, onEvent } = this.#ports;
    const lifeDice = dice.fork(`${machine.index} life ${(this.#lives += 1)}`);
    const start = (now: MonotonicMs): SwimCore =>
      launch({
        now,
        id: machine.id,
        label: this.#labels.get(machine) ?? DEFAULT_LABEL,
        epoch: life.epoch,
        addresses: announcedBy(machine),
        metadata: METADATA,
        seeds: this.#seeds,
        members,
        keys: (machine.keys ?? this.#keys.get(machine) ?? [DEFAULT_KEY]).map(keyNamed),
        profile: this.#script.profile,
        settings: this.#settings.get(machine) ?? {},
        random: lifeDice.fork("core").next,
        numbers: this.#numbers,
        nonceDice: lifeDice.fork("nonces"),
      });
    const process = new SimMember(machine, life, start, {
      scheduler,
      network: this.network,
      dice: lifeDice.fork("process"),
      onEvent: (member, event) => {
        if (event.kind === "persist-incarnation") machine.epoch = Math.max(machine.epoch, event.incarnation.epoch);
        this.measures.event(member, event);
        onEvent(member, event);
      },
    });
    machine.process = process;
    process.begin();
    if (machine.snapshot.length > 0) process.command({ kind: "recall", members: machine.snapshot });
  }

  #settingsOf({ settings }: SwimScript): ReadonlyMap<Machine, Readonly<Record<string, number | boolean>>> {
    const found = new Map<Machine, Record<string, number | boolean>>();
    for (const { of, option, value } of settings) {
      for (const machine of this.selection.machines(of)) found.set(machine, { ...found.get(machine), [option]: value });
    }
    return found;
  }

  #lookAtKey({ removedKeys }: Machine, bytes: Uint8Array, at: number): void {
    if (removedKeys.size === 0) return;
    const hint = (bytes[at]! << 8) | bytes[at + 1]!;
    if ([...removedKeys].some((key) => hintsOf(key).includes(hint))) this.measures.traffic.underRemovedKeys += 1;
  }

  #count(kind: "streams" | "streamBytes" | "toTheGone", from: Machine, amount: number): void {
    if (this.measures.isMeasuring) this.measures.traffic.add(kind, this.measures.atMs, from, amount);
  }

  #named<T>(given: readonly Named[], read: (names: readonly string[]) => T): ReadonlyMap<Machine, T> {
    return new Map(
      given.flatMap(({ of, names }) => this.selection.machines(of).map((machine) => [machine, read(names)] as const)),
    );
  }
}

/** What a member says of itself in its first life. */
function firstRecord(machine: Machine): MemberRecord {
  return {
    id: machine.id,
    incarnation: { epoch: 1, counter: 0 },
    state: "alive",
    addresses: announcedBy(machine),
    reach: "direct",
    relays: [],
    metadata: METADATA,
    accuser: null,
  };
}

function duplicates({ steps }: SwimScript): number {
  return steps.reduce((count, { action }) => count + (action.kind === "duplicate" ? action.of.length : 0), 0);
}
