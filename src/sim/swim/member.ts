import { assertNever, InvariantError, MonotonicMs } from "#kernel";
import {
  type Address,
  type MembershipView,
  StreamId,
  type SwimCommand,
  type SwimCore,
  type SwimEvent,
  type Transmission,
} from "#membership/core";
import type { Dice } from "../time/random.ts";
import type { Scheduled, Scheduler } from "../time/scheduler.ts";
import type { Machine } from "./machine.ts";
import type { SwimNetwork } from "./network.ts";
import type { Range } from "./scenario/script.ts";
import type { SimStream } from "./stream.ts";

export interface MemberPorts {
  readonly scheduler: Scheduler;
  readonly network: SwimNetwork;
  readonly dice: Dice;
  readonly onEvent: (member: SimMember, event: SwimEvent) => void;
}

/** Which life of its node this is. */
export interface Life {
  readonly epoch: number;
  /** The disk was lost: the epoch may have been used before. */
  readonly hasLostState: boolean;
}

/** What a socket buffer holds of small datagrams (208 KiB, each counted with its bookkeeping); more are dropped by the kernel. */
const SOCKET_QUEUE = 270;
/** So many turns without time moving mean that the core's deadline does not move either. */
const MAX_TURNS_AT_ONE_TIME = 1_000;

/**
 * One life of a detector: the real core, and what its driver, its sockets and its operating system do. Faults act here:
 *
 * - paused: neither timers nor sockets; what arrives waits in the socket. Afterwards as in libuv: timers that are due first,
 *   then what was received, then timers again.
 * - blocked: timers run, packets wait on both sides, and are let go together.
 * - starved: everything is read late, each by its own time, while timers run.
 */
export class SimMember {
  readonly machine: Machine;
  readonly core: SwimCore;
  readonly startedMs: number;
  readonly life: Life;
  readonly #ports: MemberPorts;
  readonly #streams = new Map<StreamId, SimStream>();
  readonly #inbox: Array<() => void> = [];
  readonly #outbox: Transmission[] = [];
  #queuedDatagrams = 0;
  #isAlive = true;
  #blocks = 0;
  #pauses = 0;
  #pausedSinceMs = 0;
  resumedMs = Number.NEGATIVE_INFINITY;
  #starvation: Range | null = null;
  #lastReadMs = 0;
  #nextInbound = 2;
  #wake: Scheduled | null = null;
  #turnsAt = 0;
  #turns = 0;
  /** Its monotonic clock: `anchorLocal` when the world's stood at `anchor`. */
  #rate = 1;
  #anchorMs: number;
  #anchorLocalMs: number;
  /** Datagrams dropped because the socket was full. */
  overflowed = 0;

  constructor(machine: Machine, life: Life, launch: (now: MonotonicMs) => SwimCore, ports: MemberPorts) {
    this.machine = machine;
    this.life = life;
    this.#ports = ports;
    this.startedMs = ports.scheduler.nowMs;
    this.#anchorMs = ports.scheduler.nowMs;
    this.#anchorLocalMs = ports.dice.between(1_000, 10_000_000);
    this.core = launch(this.now);
  }

  get isAlive(): boolean {
    return this.#isAlive;
  }

  get isPaused(): boolean {
    return this.#pauses > 0;
  }

  get now(): MonotonicMs {
    return this.#local(this.#ports.scheduler.nowMs);
  }

  view(): MembershipView {
    return this.core.view(this.now);
  }

  /** Takes what the core wants after its creation. */
  begin(): void {
    this.#settle();
  }

  command(command: SwimCommand): void {
    const outcome = this.core.command(this.now, command);
    if (!outcome.ok) throw new Error(`${this.machine.id} refused ${command.kind}: ${outcome.refusal.message}`);
    this.#settle();
  }

  receiveDatagram(from: Address, bytes: Uint8Array): void {
    if (this.#reads) {
      this.core.handleDatagram(this.now, from, bytes);
      this.#settle();
      return;
    }
    if (this.#pauses + this.#blocks > 0) {
      if (this.#queuedDatagrams >= SOCKET_QUEUE) {
        this.overflowed += 1;
        return;
      }
      this.#queuedDatagrams += 1;
    }
    this.#readLater(false, () => this.core.handleDatagram(this.now, from, bytes));
  }

  acceptStream(stream: SimStream): StreamId {
    const id = StreamId(this.#nextInbound);
    this.#nextInbound += 2;
    this.#streams.set(id, stream);
    return id;
  }

  streamOpened(id: StreamId, from: Address): void {
    this.#fromStream(() => this.core.handleStreamOpened(this.now, id, from));
  }

  streamBytes(id: StreamId, bytes: Uint8Array): void {
    this.#fromStream(() => this.core.handleStreamBytes(this.now, id, bytes));
  }

  streamClosed(id: StreamId, failed: boolean): void {
    this.#streams.delete(id);
    this.#fromStream(() => this.core.handleStreamClosed(this.now, id, failed));
  }

  pause(): void {
    if (this.#pauses++ === 0) this.#pausedSinceMs = this.#ports.scheduler.nowMs;
  }

  resume(): void {
    if (--this.#pauses > 0 || !this.#isAlive) return;
    this.resumedMs = this.#ports.scheduler.nowMs;
    const lagMs = this.resumedMs - this.#pausedSinceMs;
    this.core.command(this.now, { kind: "report-lag", lagMs });
    const { nextDeadline } = this.core;
    if (nextDeadline !== null && nextDeadline <= this.now) this.core.handleTimeout(this.now);
    this.#readInbox();
  }

  block(): void {
    this.#blocks += 1;
  }

  unblock(): void {
    if (--this.#blocks > 0 || !this.#isAlive) return;
    for (const transmission of this.#outbox.splice(0)) this.#transmit(transmission);
    if (this.#pauses === 0) this.#readInbox();
  }

  starve(by: Range | null): void {
    this.#starvation = by;
  }

  drift(rate: number): void {
    this.#anchorLocalMs = this.now;
    this.#anchorMs = this.#ports.scheduler.nowMs;
    this.#rate = rate;
    this.#arm();
  }

  /** The process is gone at this instant; its streams end as its machine can still tell. */
  kill(): void {
    this.#isAlive = false;
    if (this.#wake !== null) this.#wake.run = null;
    for (const stream of this.#streams.values()) stream.died(this);
    this.#streams.clear();
  }

  get #reads(): boolean {
    return this.#isAlive && this.#pauses + this.#blocks === 0 && this.#starvation === null;
  }

  #fromStream(read: () => void): void {
    if (!this.#isAlive) return;
    if (!this.#reads) return this.#readLater(true, read);
    read();
    this.#settle();
  }

  #readLater(inOrder: boolean, read: () => void): void {
    if (!this.#isAlive) return;
    if (this.#pauses + this.#blocks > 0) {
      this.#inbox.push(read);
      return;
    }
    const { scheduler, dice } = this.#ports;
    const { fromMs, toMs } = this.#starvation!;
    let atMs = scheduler.nowMs + dice.between(fromMs, toMs);
    if (inOrder) {
      atMs = Math.max(atMs, this.#lastReadMs);
      this.#lastReadMs = atMs;
    }
    scheduler.at(atMs, () => {
      if (!this.#isAlive) return;
      if (this.#pauses + this.#blocks > 0) {
        this.#inbox.push(read);
        return;
      }
      read();
      this.#settle();
    });
  }

  #readInbox(): void {
    this.#queuedDatagrams = 0;
    for (const read of this.#inbox.splice(0)) {
      read();
      // Each is a callback of its own: what it wants sent goes out before the next is read.
      this.#settle();
    }
    this.#settle();
  }

  #settle(): void {
    this.#drain();
    this.#arm();
  }

  #drain(): void {
    const { onEvent } = this.#ports;
    for (const transmission of this.core.takeTransmissions()) {
      if (this.#blocks === 0) this.#transmit(transmission);
      else this.#outbox.push(transmission);
    }
    for (const event of this.core.takeEvents()) onEvent(this, event);
  }

  #transmit(transmission: Transmission): void {
    const { network } = this.#ports;
    switch (transmission.kind) {
      case "datagram":
        return network.sendDatagram(this.machine, transmission.to, transmission.bytes);
      case "open-stream": {
        const { stream, to, timeoutMs } = transmission;
        this.#streams.set(stream, network.openStream(this, stream, to, timeoutMs));
        return;
      }
      case "stream-bytes":
        return this.#streams.get(transmission.stream)?.send(this, transmission.bytes);
      case "close-stream":
        this.#streams.get(transmission.stream)?.close(this);
        this.#streams.delete(transmission.stream);
        return;
      default:
        return assertNever(transmission, "transmission");
    }
  }

  /**
   * Keeps one wake-up at the core's deadline. One that comes too early would only look again, at a core that has long left the
   * processor's caches: that costs more than to set another one while the core is there.
   */
  #arm(): void {
    const { nextDeadline } = this.core;
    if (nextDeadline === null || !this.#isAlive) return;
    const { scheduler } = this.#ports;
    const atMs = this.#anchorMs + (nextDeadline - this.#anchorLocalMs) / this.#rate;
    if (this.#wake !== null) {
      if (this.#wake.atMs === atMs) return;
      this.#wake.run = null;
    }
    this.#wake = scheduler.at(atMs, () => {
      this.#wake = null;
      this.#awake();
    });
  }

  #awake(): void {
    if (!this.#isAlive || this.#pauses > 0) return;
    const { nextDeadline } = this.core;
    if (nextDeadline === null) return;
    // The way to the world's clock and back may lose the last bit.
    const now = this.now + 1e-6 >= nextDeadline ? MonotonicMs(Math.max(this.now, nextDeadline)) : null;
    if (now !== null) {
      this.#countTurn();
      this.core.handleTimeout(now);
    }
    this.#settle();
  }

  #countTurn(): void {
    const { nowMs } = this.#ports.scheduler;
    if (nowMs !== this.#turnsAt) {
      this.#turnsAt = nowMs;
      this.#turns = 0;
    } else if (++this.#turns > MAX_TURNS_AT_ONE_TIME) {
      throw new InvariantError(
        `${this.machine.id}: nextDeadline stays at ${this.core.nextDeadline} after handleTimeout(${this.now})`,
      );
    }
  }

  #local(worldMs: number): MonotonicMs {
    return MonotonicMs(this.#anchorLocalMs + (worldMs - this.#anchorMs) * this.#rate);
  }
}
