import { accepted, type MonotonicMs, type Outcome } from "#kernel";
import {
  type Address,
  Digest,
  type MembershipView,
  type StreamId,
  type SwimCommand,
  type SwimCore,
  type SwimCounters,
  type SwimEvent,
  type Transmission,
} from "#membership/core";

/** A core without a will: it notes what it is given, and sends what the test puts into it. Times are whole milliseconds of the world. */
export class ScriptedCore implements SwimCore {
  readonly noted: string[] = [];
  readonly outgoing: Transmission[] = [];
  readonly reported: SwimEvent[] = [];
  nextDeadline: MonotonicMs | null = null;
  readonly present = 1;
  readonly digest = Digest(0);
  readonly #worldMs: () => number;

  constructor(worldMs: () => number) {
    this.#worldMs = worldMs;
  }

  handleDatagram(_now: MonotonicMs, from: Address, bytes: Uint8Array): void {
    this.#note(`${new TextDecoder().decode(bytes)} from ${from}`);
  }

  handleStreamOpened(_now: MonotonicMs, stream: StreamId, from: Address): void {
    this.#note(`stream ${stream} with ${from.slice(0, from.lastIndexOf(":"))}`);
  }

  handleStreamBytes(_now: MonotonicMs, stream: StreamId, bytes: Uint8Array): void {
    this.#note(`${new TextDecoder().decode(bytes)} on stream ${stream}`);
  }

  handleStreamClosed(_now: MonotonicMs, stream: StreamId, failed: boolean): void {
    this.#note(`stream ${stream} ${failed ? "failed" : "closed"}`);
  }

  handleTimeout(now: MonotonicMs): void {
    this.#note("timer");
    if (this.nextDeadline !== null && now >= this.nextDeadline) this.nextDeadline = null;
  }

  command(_now: MonotonicMs, { kind }: SwimCommand): Outcome<void> {
    this.#note(kind);
    return accepted(undefined);
  }

  takeTransmissions(): readonly Transmission[] {
    return this.outgoing.splice(0);
  }

  takeEvents(): readonly SwimEvent[] {
    return this.reported.splice(0);
  }

  get counters(): SwimCounters {
    throw new Error("a scripted core counts nothing");
  }

  record(): null {
    return null;
  }

  view(): MembershipView {
    throw new Error("a scripted core has no view");
  }

  #note(what: string): void {
    this.noted.push(`${Math.round(this.#worldMs())} ${what}`);
  }
}
