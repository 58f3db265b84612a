import { assertNever, type MonotonicMs, type Outcome, accepted } from "#kernel";
import {
  createSwim,
  type Address,
  type MemberRecord,
  type MembershipView,
  StreamId,
  type SwimCommand,
  type SwimCore,
  type SwimEvent,
  type SwimSetup,
  type Transmission,
} from "#membership/core";
import type { ByteStream, Clock, DatagramSocket, Endpoint, StreamEvents, StreamPort, Timer, Timers } from "#ports";
import { canonicalAddress } from "./address.ts";
import { INBOUND_LIMITS, InboundStreams } from "./inbound.ts";

export interface SwimPorts {
  readonly clock: Clock;
  readonly timers: Timers;
  readonly datagrams: DatagramSocket;
  readonly streams: StreamPort;
  /** In the order in which they happened, after the input that caused them was handled. */
  readonly onEvent: (event: SwimEvent) => void;
}

/** What the driver itself has seen and done, beside the core's counters. */
export interface DriverCounters {
  /** Datagrams and stream frames. */
  readonly messagesSent: number;
  readonly largestDatagramReceived: number;
  readonly streamsDialled: number;
  readonly streamsOpened: number;
  readonly streamsAccepted: number;
  readonly streamsRefused: number;
}

/**
 * Runs one SwimCore over sockets and timers. It decides nothing: inputs go in with the time, effects come out.
 *
 * Its one duty beyond that: after a stall the event loop runs due timers before it reads its sockets, and the acks that came
 * meanwhile lie unread in the kernel. So whatever is overdue waits until the sockets have been read.
 */
export class SwimDriver {
  readonly #core: SwimCore;
  readonly #ports: SwimPorts;
  readonly #slackMs: number;
  readonly #streams = new Map<StreamId, ByteStream>();
  readonly #inbound = new InboundStreams(INBOUND_LIMITS);
  /** The core names its own streams by odd numbers, the driver inbound ones by even. */
  #lastInbound = 0;
  #armed: { readonly at: MonotonicMs; readonly timer: Timer } | null = null;
  #isReading = false;
  #isClosed = false;
  #datagramsRead = 0;
  #messagesSent = 0;
  #largestDatagram = 0;
  #dialled = 0;
  #opened = 0;
  #accepted = 0;

  /** Starts to join at once. Refused: what `createSwim` refuses. */
  static start(setup: SwimSetup, recalled: readonly MemberRecord[], ports: SwimPorts): Outcome<SwimDriver> {
    const core = createSwim(ports.clock.now().monotonicMs, setup);
    if (!core.ok) return core;
    const driver = new SwimDriver(core.value, setup.options.verdictSlackMs, ports);
    driver.#open(recalled);
    return accepted(driver);
  }

  private constructor(core: SwimCore, slackMs: number, ports: SwimPorts) {
    this.#core = core;
    this.#slackMs = slackMs;
    this.#ports = ports;
  }

  get counters(): DriverCounters {
    return {
      messagesSent: this.#messagesSent,
      largestDatagramReceived: this.#largestDatagram,
      streamsDialled: this.#dialled,
      streamsOpened: this.#opened,
      streamsAccepted: this.#accepted,
      streamsRefused: this.#inbound.refused,
    };
  }

  /** True once nothing more will be sent, whatever comes: it has left, or another process goes by its name. */
  get isSilent(): boolean {
    return this.#core.nextDeadline === null;
  }

  /** Members held alive or suspect, this node included. */
  get present(): number {
    return this.#core.present;
  }

  view(): MembershipView {
    return this.#core.view(this.#now());
  }

  command(command: SwimCommand): Outcome<void> {
    const outcome = this.#core.command(this.#now(), command);
    this.#pump();
    return outcome;
  }

  /** Hears and sends nothing more; streams are closed. The sockets are their owner's. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#armed?.timer.cancel();
    this.#ports.datagrams.receive(null);
    this.#ports.streams.accept(null);
    for (const id of this.#streams.keys()) this.#close(id);
  }

  #open(recalled: readonly MemberRecord[]): void {
    this.#ports.datagrams.receive((from, bytes) => this.#datagram(from, bytes));
    this.#ports.streams.accept((from, stream) => this.#accept(from, stream));
    if (recalled.length > 0) this.command({ kind: "recall", members: recalled });
    else this.#pump();
  }

  #now(): MonotonicMs {
    return this.#ports.clock.now().monotonicMs;
  }

  #datagram(endpoint: Endpoint, bytes: Uint8Array): void {
    this.#datagramsRead++;
    const from = canonicalAddress(endpoint);
    if (from === null) return;
    if (bytes.length > this.#largestDatagram) this.#largestDatagram = bytes.length;
    this.#core.handleDatagram(this.#now(), from, bytes);
    this.#pump();
  }

  #accept(endpoint: Endpoint, stream: ByteStream): StreamEvents | null {
    const from = canonicalAddress(endpoint);
    const id = StreamId(this.#lastInbound + 2);
    if (from === null || !this.#inbound.enter(id, endpoint.host, (stranger) => this.#evict(stranger))) return null;
    this.#accepted++;
    this.#lastInbound = id;
    this.#streams.set(id, stream);
    this.#core.handleStreamOpened(this.#now(), id, from);
    this.#pump();
    return this.#eventsOf(id);
  }

  #dial(id: StreamId, to: Address, timeoutMs: number): void {
    this.#dialled++;
    const onOpen = (): void => {
      this.#opened++;
      this.#core.handleStreamOpened(this.#now(), id, to);
      this.#pump();
    };
    this.#streams.set(id, this.#ports.streams.dial(to, timeoutMs, { onOpen, ...this.#eventsOf(id) }));
  }

  #eventsOf(id: StreamId): StreamEvents {
    return {
      onBytes: (bytes) => {
        this.#core.handleStreamBytes(this.#now(), id, bytes);
        this.#pump();
      },
      onClosed: (failed) => {
        this.#forget(id);
        this.#core.handleStreamClosed(this.#now(), id, failed);
        this.#pump();
      },
    };
  }

  #close(id: StreamId): void {
    this.#streams.get(id)?.close();
    this.#forget(id);
  }

  #evict(stranger: StreamId): void {
    this.#close(stranger);
    this.#core.handleStreamClosed(this.#now(), stranger, true);
  }

  #forget(id: StreamId): void {
    this.#inbound.leave(id);
    this.#streams.delete(id);
  }

  /** Carries out what the last input has caused, then sleeps until the next deadline. */
  #pump(): void {
    if (this.#isClosed) return;
    for (const transmission of this.#core.takeTransmissions()) this.#carryOut(transmission);
    for (const event of this.#core.takeEvents()) this.#ports.onEvent(event);
    this.#arm();
  }

  #carryOut(transmission: Transmission): void {
    switch (transmission.kind) {
      case "datagram":
        this.#messagesSent++;
        return this.#ports.datagrams.send(transmission.to, transmission.bytes);
      case "open-stream":
        return this.#dial(transmission.stream, transmission.to, transmission.timeoutMs);
      case "stream-bytes":
        this.#messagesSent++;
        // The core answers nobody who has not shown the key.
        this.#inbound.known(transmission.stream);
        return this.#streams.get(transmission.stream)?.write(transmission.bytes);
      case "close-stream":
        return this.#close(transmission.stream);
      default:
        return assertNever(transmission, "transmission");
    }
  }

  /** A timer that is too early only looks again: cheaper than a new one for every deadline that moved back. */
  #arm(): void {
    const next = this.#core.nextDeadline;
    if (next === null || this.#isReading || this.#isClosed) return;
    const waitMs = next - this.#now();
    // The core puts off verdicts that come late: they are due again once the sockets were read.
    if (waitMs <= 0) return this.#readFirst(MAX_LOOKS);
    if (this.#armed !== null && this.#armed.at <= next) return;
    this.#armed?.timer.cancel();
    this.#armed = { at: next, timer: this.#ports.timers.after(Math.ceil(waitMs), () => this.#due()) };
  }

  #due(): void {
    this.#armed = null;
    const next = this.#core.nextDeadline;
    if (next === null) return;
    const lateMs = this.#now() - next;
    if (lateMs < 0) this.#arm();
    else if (lateMs > this.#slackMs) this.#readFirst(MAX_LOOKS);
    else this.#handleTimeout();
  }

  /** One turn of the event loop reads a few dozen datagrams at most, so it takes as many as bring something new. */
  #readFirst(looksLeft: number): void {
    this.#isReading = true;
    const readBefore = this.#datagramsRead;
    this.#ports.timers.soon(() => {
      if (this.#isClosed) return;
      if (this.#datagramsRead > readBefore && looksLeft > 1) return this.#readFirst(looksLeft - 1);
      this.#isReading = false;
      this.#handleTimeout();
    });
  }

  #handleTimeout(): void {
    this.#core.handleTimeout(this.#now());
    this.#pump();
  }
}

/** A flood of datagrams must not silence the timers. */
const MAX_LOOKS = 50;
