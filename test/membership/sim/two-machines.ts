import { MonotonicMs, NodeId } from "#kernel";
import { Address, StreamId, type Transmission } from "#membership/core";
import { type Machine, machineOf } from "../../../src/sim/swim/machine.ts";
import { SimMember } from "../../../src/sim/swim/member.ts";
import { SwimNetwork } from "../../../src/sim/swim/network.ts";
import type { NetworkScript } from "../../../src/sim/swim/scenario/script.ts";
import { Dice } from "../../../src/sim/time/random.ts";
import { Scheduler } from "../../../src/sim/time/scheduler.ts";
import { ScriptedCore } from "./scripted-core.ts";

/** Every way takes 10 ms; nothing is lost. */
const QUIET: NetworkScript = {
  delay: { kind: "uniform", perLink: false, fromMs: 10, toMs: 10 },
  lossChance: 0,
  duplicateChance: 0,
  streams: "delayed",
  planes: ["public"],
};

/** Machines a, b and c with a scripted core each: the parts of the simulator without a detector. */
export class Machines {
  readonly scheduler = new Scheduler();
  readonly network: SwimNetwork;
  readonly #machines: readonly Machine[];
  readonly #cores = new Map<Machine, ScriptedCore>();

  constructor(settings: Partial<NetworkScript> = {}) {
    const { scheduler } = this;
    this.#machines = ["a", "b", "c"].map((id, index) => machineOf(index, NodeId(id), settings.planes?.length ?? 1));
    const dice = new Dice(1);
    this.network = new SwimNetwork(
      this.#machines,
      { ...QUIET, ...settings },
      { scheduler, dice, onDatagram: () => {}, onStreamOpened: () => {}, onStreamAsked: () => {}, onStreamBytes: () => {} },
    );
    for (const machine of this.#machines) this.start(machine.id);
  }

  machine(id: string): Machine {
    return this.#machines.find((each) => each.id === id)!;
  }

  core(id: string): ScriptedCore {
    return this.#cores.get(this.machine(id))!;
  }

  process(id: string): SimMember {
    return this.machine(id).process!;
  }

  start(id: string): void {
    const { scheduler, network } = this;
    const machine = this.machine(id);
    const core = new ScriptedCore(() => scheduler.nowMs);
    this.#cores.set(machine, core);
    const ports = { scheduler, network, dice: new Dice(7), onEvent: () => {} };
    machine.process = new SimMember(machine, { epoch: 1, hasLostState: false }, () => core, ports);
  }

  kill(id: string): void {
    const { process } = this.machine(id);
    this.machine(id).process = null;
    process!.kill();
  }

  /** At the moment `atMs` the core of `id` wants this sent. */
  sends(atMs: number, id: string, transmission: Transmission): void {
    this.at(atMs, () => {
      this.core(id).outgoing.push(transmission);
      this.process(id).begin();
    });
  }

  datagram(atMs: number, from: string, to: string, text: string): void {
    this.sends(atMs, from, { kind: "datagram", to: this.address(to), bytes: new TextEncoder().encode(text) });
  }

  bytes(atMs: number, from: string, stream: number, text: string): void {
    this.sends(atMs, from, { kind: "stream-bytes", stream: StreamId(stream), bytes: new TextEncoder().encode(text) });
  }

  open(atMs: number, from: string, to: string, stream: number, timeoutMs = 1_000): void {
    this.sends(atMs, from, { kind: "open-stream", stream: StreamId(stream), to: this.address(to), timeoutMs });
  }

  /** The core's timer, `inMs` from now on the machine's own clock. */
  timer(atMs: number, id: string, inMs: number): void {
    this.at(atMs, () => {
      this.core(id).nextDeadline = MonotonicMs(this.process(id).now + inMs);
      this.process(id).begin();
    });
  }

  at(atMs: number, run: () => void): void {
    this.scheduler.at(atMs, run);
  }

  runUntil(untilMs: number): void {
    while (this.scheduler.step(untilMs));
  }

  address(to: string): Address {
    return to.includes(":") ? Address(to) : this.machine(to).addresses[0]!;
  }
}
