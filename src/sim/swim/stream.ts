import type { Address, StreamId } from "#membership/core";
import type { Scheduler } from "../time/scheduler.ts";
import type { Machine } from "./machine.ts";
import type { SimMember } from "./member.ts";
import type { SwimNetwork } from "./network.ts";

/** What cannot be delivered for so long breaks the stream. */
const STALLED_MS = 30_000;
const FIRST_RETRY_MS = 200;

interface End {
  readonly member: SimMember;
  readonly id: StreamId;
  /** Nothing arrives at this end before this moment: a stream keeps its order. */
  lastArrivalMs: number;
  /** This end has closed it, or knows that it is closed. */
  isClosed: boolean;
}

/** One stream between two processes. While its path is cut its bytes wait, as TCP's do; after 30 s the sender's end breaks. */
export class SimStream {
  readonly #network: SwimNetwork;
  readonly #scheduler: Scheduler;
  readonly #opener: End;
  #acceptor: End | null = null;
  #peer: Machine | null = null;
  #plane = 0;
  #isConnected = false;
  /** What waits for the path to open again, by the end that sends it. */
  readonly #waiting = new Map<SimMember, Array<() => void>>();

  constructor(network: SwimNetwork, scheduler: Scheduler, opener: SimMember, id: StreamId) {
    this.#network = network;
    this.#scheduler = scheduler;
    this.#opener = { member: opener, id, lastArrivalMs: 0, isClosed: false };
  }

  get isOver(): boolean {
    return this.#opener.isClosed;
  }

  /** The way is open: the other side learns of it after one delay, the opener after two. */
  connect(peer: Machine, plane: number, source: Address, to: Address): void {
    this.#peer = peer;
    this.#plane = plane;
    const { member, id } = this.#opener;
    const thereMs = this.#network.delayMs(member.machine, peer);
    const backMs = thereMs + this.#network.delayMs(peer, member.machine);
    this.#scheduler.after(thereMs, () => {
      const { process } = peer;
      if (process === null) return;
      const acceptor: End = { member: process, id: process.acceptStream(this), lastArrivalMs: 0, isClosed: false };
      this.#acceptor = acceptor;
      process.streamOpened(acceptor.id, source);
    });
    this.#scheduler.after(backMs, () => {
      if (this.#opener.isClosed) return;
      this.#isConnected = this.#acceptor !== null;
      if (this.#isConnected) member.streamOpened(id, to);
      else if (peer.isUp) this.#closed(this.#opener, true);
    });
  }

  /** The opener's patience is over. */
  giveUp(): void {
    if (!this.#isConnected) this.#closed(this.#opener, true);
  }

  send(from: SimMember, bytes: Uint8Array): void {
    this.#network.onStreamBytes(from.machine, bytes);
    this.#transfer(from, () => {
      const to = this.#otherEnd(from);
      if (to !== null && !to.isClosed) to.member.streamBytes(to.id, bytes);
      // The one who is gone refuses, if its machine still stands.
      else this.#refuse(from);
    });
  }

  close(from: SimMember): void {
    const own = this.#endOf(from);
    if (own === null || own.isClosed) return;
    own.isClosed = true;
    this.#transfer(from, () => {
      const to = this.#otherEnd(from);
      if (to !== null) this.#closed(to, false);
    });
  }

  /** The process of this end is gone. Only a machine that still runs can say so. */
  died(member: SimMember): void {
    const own = this.#endOf(member);
    if (own !== null) own.isClosed = true;
    const other = this.#otherEnd(member);
    if (other === null || !member.machine.isUp) return;
    if (!this.#network.isOpen(member.machine, other.member.machine, this.#plane)) return;
    this.#scheduler.after(this.#network.delayMs(member.machine, other.member.machine), () => this.#closed(other, true));
  }

  /** Runs `arrive` at the other side when the path lets it through, after everything sent before. */
  #transfer(from: SimMember, arrive: () => void): void {
    const waiting = this.#waiting.get(from);
    if (waiting !== undefined) {
      waiting.push(arrive);
      return;
    }
    if (this.#isPathOpen(from)) this.#deliver(from, arrive);
    else this.#stall(from, arrive);
  }

  #deliver(from: SimMember, arrive: () => void): void {
    const other = from === this.#opener.member ? this.#peer! : this.#opener.member.machine;
    const to = this.#otherEnd(from);
    const arrivalMs = this.#scheduler.nowMs + this.#network.segmentDelayMs(from.machine, other);
    const inOrderMs = to === null ? arrivalMs : Math.max(arrivalMs, to.lastArrivalMs);
    if (to !== null) to.lastArrivalMs = inOrderMs;
    this.#scheduler.at(inOrderMs, arrive);
  }

  #stall(from: SimMember, first: () => void): void {
    const waiting = [first];
    this.#waiting.set(from, waiting);
    const sinceMs = this.#scheduler.nowMs;
    const retry = (afterMs: number): void => {
      this.#scheduler.after(afterMs, () => {
        const own = this.#endOf(from);
        if (own === null) return;
        if (this.#isPathOpen(from)) {
          this.#waiting.delete(from);
          for (const arrive of waiting) this.#deliver(from, arrive);
        } else if (this.#scheduler.nowMs - sinceMs >= STALLED_MS) {
          this.#waiting.delete(from);
          this.#closed(own, true);
        } else retry(2 * afterMs);
      });
    };
    retry(FIRST_RETRY_MS);
  }

  #refuse(from: SimMember): void {
    const own = this.#endOf(from);
    const other = from === this.#opener.member ? this.#peer : this.#opener.member.machine;
    if (own === null || other === null || !other.isUp) return;
    this.#scheduler.after(this.#network.delayMs(other, from.machine), () => this.#closed(own, true));
  }

  #closed(end: End, failed: boolean): void {
    if (end.isClosed) return;
    end.isClosed = true;
    end.member.streamClosed(end.id, failed);
  }

  #isPathOpen(from: SimMember): boolean {
    const other = from === this.#opener.member ? this.#peer : this.#opener.member.machine;
    return other !== null && this.#network.isOpen(from.machine, other, this.#plane);
  }

  #endOf(member: SimMember): End | null {
    if (member === this.#opener.member) return this.#opener;
    return this.#acceptor;
  }

  #otherEnd(member: SimMember): End | null {
    return member === this.#opener.member ? this.#acceptor : this.#opener;
  }
}
