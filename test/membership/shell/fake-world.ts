import { MonotonicMs, type NodeId, seededRandom, WallTimeMs } from "#kernel";
import { type MembershipSetup } from "#membership";
import { httpPollProfiles, type SwimOptions, type SwimSetup, Address, swimProfiles } from "#membership/core";
import type { ByteStream, Clock, DatagramSocket, Endpoint, StreamEvents, StreamPort, Timers } from "#ports";
import { nodeAead } from "../../../src/host/aead.ts";
import { Scheduler } from "../../../src/sim/time/scheduler.ts";

/** What one look at a socket reads at most, as libuv does. */
const READ_AT_ONCE = 32;

/**
 * Event loops over simulated time: timers first, then sockets, then what was asked for `soon`. A loop can stand still, and
 * what arrives meanwhile lies in its socket.
 */
export class FakeLoop {
  readonly scheduler: Scheduler;
  readonly #unread: (() => void)[] = [];
  readonly #late: (() => void)[] = [];
  #stalledUntilMs = 0;

  constructor(scheduler: Scheduler) {
    this.scheduler = scheduler;
  }

  readonly clock: Clock = {
    now: () => ({ monotonicMs: MonotonicMs(this.scheduler.nowMs), wallMs: WallTimeMs(this.scheduler.nowMs) }),
  };

  readonly timers: Timers = {
    after: (delayMs, run) => {
      let isCancelled = false;
      this.scheduler.after(delayMs, () => this.#timer(() => void (isCancelled || run())));
      return { cancel: () => void (isCancelled = true) };
    },
    every: (periodMs, run) => {
      let isCancelled = false;
      const again = (): void => {
        if (isCancelled) return;
        run();
        this.scheduler.after(periodMs, () => this.#timer(again));
      };
      this.scheduler.after(periodMs, () => this.#timer(again));
      return { cancel: () => void (isCancelled = true) };
    },
    soon: (run) => {
      this.scheduler.after(0, () => {
        for (const read of this.#unread.splice(0, READ_AT_ONCE)) read();
        run();
      });
    },
  };

  stall(ms: number): void {
    this.#stalledUntilMs = this.scheduler.nowMs + ms;
    this.scheduler.after(ms, () => {
      for (const run of this.#late.splice(0)) run();
      this.#readAll();
    });
  }

  /** Something arrives at a socket. */
  arrive(read: () => void): void {
    if (this.scheduler.nowMs < this.#stalledUntilMs || this.#unread.length > 0) this.#unread.push(read);
    else read();
  }

  #timer(run: () => void): void {
    if (this.scheduler.nowMs < this.#stalledUntilMs) this.#late.push(run);
    else run();
  }

  /** After due timers, a turn reads its share; the rest waits for the next turn. */
  #readAll(): void {
    this.scheduler.after(0, () => {
      for (const read of this.#unread.splice(0, READ_AT_ONCE)) read();
      if (this.#unread.length > 0) this.#readAll();
    });
  }
}

interface FakeNode {
  readonly loop: FakeLoop;
  onDatagram: ((from: Endpoint, bytes: Uint8Array) => void) | null;
  onStream: ((from: Endpoint, stream: ByteStream) => StreamEvents | null) | null;
}

/** Datagrams and streams between fake nodes, 5 ms apart. */
export class FakeNetwork {
  readonly scheduler = new Scheduler();
  readonly #nodes = new Map<string, FakeNode>();

  /** Sockets of a node at `address`, on an event loop of its own. */
  node(address: string): { readonly loop: FakeLoop; readonly datagrams: DatagramSocket; readonly streams: StreamPort } {
    const loop = new FakeLoop(this.scheduler);
    const own: FakeNode = { loop, onDatagram: null, onStream: null };
    this.#nodes.set(address, own);
    const from = endpointOf(address);
    return {
      loop,
      datagrams: {
        receive: (handler) => void (own.onDatagram = handler),
        send: (to, bytes) => {
          this.scheduler.after(5, () => {
            const peer = this.#nodes.get(to);
            peer?.loop.arrive(() => peer.onDatagram?.(from, bytes));
          });
        },
      },
      streams: {
        accept: (handler) => void (own.onStream = handler),
        dial: (to, _, events) => this.#dial(own, from, to, events),
      },
    };
  }

  kill(address: string): void {
    this.#nodes.delete(address);
  }

  /** Datagrams of a stranger, now. */
  flood(to: string, count: number): void {
    const peer = this.#nodes.get(to)!;
    for (let sent = 0; sent < count; sent++) {
      peer.loop.arrive(() => peer.onDatagram?.({ host: "198.51.100.9", port: 9 }, new Uint8Array(64)));
    }
  }

  run(ms: number): void {
    const until = this.scheduler.nowMs + ms;
    while (this.scheduler.step(until));
  }

  #dial(own: FakeNode, from: Endpoint, to: string, events: StreamEvents & { onOpen(): void }): ByteStream {
    let theirs: StreamEvents | null = null;
    let isOver = false;
    const later = (loop: FakeLoop, run: () => void): void => void this.scheduler.after(5, () => loop.arrive(run));
    const peer = this.#nodes.get(to);
    const endFor = (loop: FakeLoop, other: () => StreamEvents | null): ByteStream => ({
      write: (bytes) => later(loop, () => void (isOver || other()?.onBytes(bytes))),
      close: () =>
        later(loop, () => {
          if (isOver) return;
          isOver = true;
          other()?.onClosed(false);
        }),
    });
    const refuse = (): void => later(own.loop, () => events.onClosed(true));
    if (peer === undefined) {
      refuse();
      return endFor(own.loop, () => null);
    }
    later(peer.loop, () => {
      theirs =
        peer.onStream?.(
          from,
          endFor(own.loop, () => events),
        ) ?? null;
      if (theirs === null) refuse();
      else later(own.loop, () => events.onOpen());
    });
    return endFor(peer.loop, () => theirs);
  }
}

function endpointOf(address: string): Endpoint {
  const [host = "", port = ""] = address.split(":");
  return { host, port: Number(port) };
}

export const addressOf = (name: string): string => `192.0.2.${Number(name.slice(1)) + 1}:8771`;

export function swimSetup(name: string, seeds: readonly string[], options: SwimOptions = swimProfiles.mesh): SwimSetup {
  return {
    id: name as NodeId,
    label: "test",
    epoch: 1,
    addresses: [Address(addressOf(name))],
    metadata: { role: "worker", provider: "", capabilities: [], version: "0", degraded: false, keys: [], voters: null },
    options,
    seeds: seeds.map((seed) => ({ id: seed as NodeId, addresses: [Address(addressOf(seed))] })),
    keys: [new Uint8Array(32)],
    aead: nodeAead,
    random: seededRandom(Number(name.slice(1)) + 7),
    allow: { ids: [], networks: [] },
  };
}

export function membershipSetup(name: string, more: Partial<MembershipSetup> = {}): MembershipSetup {
  const { id, label, metadata, options, keys, allow } = swimSetup(name, []);
  return {
    mode: "swim",
    id,
    label,
    keys,
    advertise: [addressOf(name)],
    seeds: [],
    allow,
    metadata,
    swim: options,
    httpPoll: httpPollProfiles.connectivity,
    peers: [],
    ...more,
  };
}
