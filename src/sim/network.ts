import type { LogIndex, NodeId } from "#kernel";
import type { PeerLinkEvents, PeerLinks } from "#ports";
import type { Message } from "#raft";
import type { PeerVerdict } from "#storage";
import type { SimProcess } from "./process.ts";
import type { Dice } from "./time/random.ts";
import type { Scheduled, Scheduler } from "./time/scheduler.ts";

export interface NetworkSettings {
  readonly delayMinMs: number;
  readonly delayMeanMs: number;
  /** Messages that one link holds; more are dropped, as by a full send queue. */
  readonly queue: number;
  /** Messages of one link may overtake each other: more than streams do, and no more than Raft must stand. */
  readonly reorders: boolean;
}

export interface NetworkPorts {
  readonly scheduler: Scheduler;
  readonly dice: Dice;
  readonly processOf: (node: NodeId) => SimProcess | null;
  readonly onSent: (from: NodeId, to: NodeId, message: Message) => void;
  readonly count: (counter: string) => void;
  /** Through the wire format and back; the message itself in most runs. */
  readonly overTheWire: (message: Message) => Message;
}

/** One direction between two nodes. The nemesis writes the upper half. */
export interface Link {
  readonly from: NodeId;
  readonly to: NodeId;
  isCut: boolean;
  lossChance: number;
  duplicateChance: number;
  extraDelayMs: number;
  /** What is sent before this moment arrives after it. */
  cloggedUntilMs: number;
  /** The stream on which `from` speaks to `to`; null while there is none. */
  stream: Stream | null;
  retry: Scheduled | null;
  lastArrivalMs: number;
  inFlight: number;
}

type Welcome = Extract<PeerVerdict, { kind: "welcome" }>;

interface Stream {
  readonly from: SimProcess;
  readonly to: SimProcess;
  /** The membership in which `to` has welcomed `from`; null for who is no member. */
  readonly admission: LogIndex | null;
  isBroken: boolean;
}

/**
 * The links between the nodes: one stream per direction, dialled by the one who speaks on it. A stream keeps the order, loses
 * what meets a fault, and breaks when an end dies or a cut is noticed; then its speaker dials again.
 */
export class Network {
  readonly #settings: NetworkSettings;
  readonly #ports: NetworkPorts;
  readonly #links = new Map<NodeId, Map<NodeId, Link>>();
  readonly #nodes: readonly NodeId[];
  messages = 0;

  constructor(nodes: readonly NodeId[], settings: NetworkSettings, ports: NetworkPorts) {
    this.#nodes = nodes;
    this.#settings = settings;
    this.#ports = ports;
    for (const from of nodes) {
      const links = new Map<NodeId, Link>();
      this.#links.set(from, links);
      for (const to of nodes) if (to !== from) links.set(to, healthyLink(from, to));
    }
  }

  link(from: NodeId, to: NodeId): Link {
    return this.#links.get(from)!.get(to)!;
  }

  *all(): Iterable<Link> {
    for (const links of this.#links.values()) yield* links.values();
  }

  /** Cuts one direction. A cut is noticed late, or never: a keep-alive that goes unanswered breaks both streams. */
  cut(from: NodeId, to: NodeId): void {
    const { dice, scheduler } = this.#ports;
    const link = this.link(from, to);
    if (link.isCut) return;
    link.isCut = true;
    if (!dice.chance(0.7)) return;
    for (const broken of [link, this.link(to, from)]) {
      const { stream } = broken;
      if (stream === null) continue;
      scheduler.after(dice.between(50, 8_000), () => {
        if (link.isCut) this.#break(broken, stream);
      });
    }
  }

  heal(link: Link): void {
    link.isCut = false;
    link.lossChance = 0;
    link.duplicateChance = 0;
    link.extraDelayMs = 0;
    link.cloggedUntilMs = 0;
    // What a clog holds up would hold up all that comes after it: such a stream does not live on.
    if (link.lastArrivalMs <= this.#ports.scheduler.nowMs + HEALTHY_AGAIN_MS) return;
    link.lastArrivalMs = 0;
    if (link.stream !== null) this.#break(link, link.stream);
  }

  open(process: SimProcess, events: PeerLinkEvents<Message>): PeerLinks<Message> {
    process.peerEvents = events;
    for (const peer of this.#nodes) if (peer !== process.node) this.#dial(process, this.link(process.node, peer), 0);
    return {
      send: (to, message) => this.#send(process, to, message),
      // Every node of the run is known by its address: the network refuses nobody for not being a member.
      members: () => this.#reconsider(process),
      connected: () => process.connected,
      close: () => Promise.resolve(),
    };
  }

  /** The process is gone. Its peers learn of it at once when only the process died, and by a time-out when the machine did. */
  died(process: SimProcess, lostPower: boolean): void {
    const { dice, scheduler } = this.#ports;
    for (const peer of this.#nodes) {
      if (peer === process.node) continue;
      const link = this.link(peer, process.node);
      const { stream } = link;
      if (stream === null || stream.to !== process) continue;
      const delayMs = lostPower ? dice.between(50, 10_000) : dice.exponential(2 * this.#settings.delayMeanMs);
      scheduler.after(delayMs, () => this.#break(link, stream));
    }
  }

  /** The streams of both directions break now, whatever is in flight is lost. */
  reset(from: NodeId, to: NodeId): void {
    for (const link of [this.link(from, to), this.link(to, from)]) if (link.stream !== null) this.#break(link, link.stream);
  }

  #dial(process: SimProcess, link: Link, failures: number): void {
    const { scheduler, dice } = this.#ports;
    const backoffMs = failures === 0 ? this.#delayMs(link) * 2 : (Math.min(2_000, 50 * 2 ** failures) * (1 + dice.next())) / 2;
    link.retry = scheduler.after(backoffMs, () => {
      link.retry = null;
      if (!process.isAlive) return;
      const target = this.#ports.processOf(link.to);
      const back = this.link(link.to, link.from);
      if (target === null || target.introduction === null || target.isPaused || link.isCut || back.isCut) {
        this.#dial(process, link, Math.min(failures + 1, 8));
        return;
      }
      this.#introduce(process, target, (welcome) => {
        if (!process.isAlive) return;
        const stream = welcome === null ? null : { from: process, to: target, admission: welcome.admission, isBroken: false };
        const isLost = stream === null || !target.isAlive || link.isCut || back.isCut || !isAdmitted(stream);
        if (isLost) this.#dial(process, link, Math.min(failures + 1, 8));
        else this.#establish(stream, link, back);
      });
    });
  }

  #establish(stream: Stream, link: Link, back: Link): void {
    if (link.stream !== null) link.stream.isBroken = true;
    link.stream = stream;
    const { from: process, to: target } = stream;
    process.enter(() => {
      process.connected.add(link.to);
      process.peerEvents!.onConnected(link.to);
    });
    // The peer has just shown that it is up: it does not wait for its back-off to end.
    if (back.retry === null) return;
    back.retry.run = null;
    this.#dial(target, back, 0);
  }

  /** Each end judges the other's data directory, the called one first. No answer within the time-out is none. */
  #introduce(caller: SimProcess, called: SimProcess, done: (welcome: Welcome | null) => void): void {
    let isOver = false;
    const end = (welcome: Welcome | null): void => {
      if (isOver) return;
      isOver = true;
      timeout.run = null;
      done(welcome);
    };
    const fail = (): void => end(null);
    const timeout = this.#ports.scheduler.after(HANDSHAKE_TIMEOUT_MS, fail);
    const onVerdict = (verdict: PeerVerdict): void => {
      caller.enter(() => caller.introduction!.heard(called.node, verdict.kind === "refused" ? verdict.fault : null));
      if (verdict.kind === "refused" || !caller.isAlive) return fail();
      this.knock(called, caller, ({ kind }) => end(kind === "welcome" ? verdict : null), fail);
    };
    this.knock(caller, called, onVerdict, fail);
  }

  /** `judge` looks at the directory that `guest` shows, and remembers it durably before `onVerdict`. */
  knock(guest: SimProcess, judge: SimProcess, onVerdict: (verdict: PeerVerdict) => void, onFailed: () => void): void {
    const { shown } = guest.introduction!;
    judge.enter(() => {
      judge.introduction!.directories.meet(guest.node, shown).then((verdict) => {
        if (verdict.kind === "refused") this.#ports.count(`directory refused: ${verdict.fault}`);
        onVerdict(verdict);
      }, onFailed);
    });
  }

  /** Whether `from` speaks to the process that `to` is now: then that one knows the directory of `from`. */
  isKnown(from: SimProcess, to: SimProcess): boolean {
    const { stream } = this.link(from.node, to.node);
    return stream !== null && !stream.isBroken && stream.from === from && stream.to === to;
  }

  #break(link: Link, stream: Stream): void {
    if (stream.isBroken) return;
    stream.isBroken = true;
    if (link.stream !== stream) return;
    link.stream = null;
    const { from } = stream;
    if (!from.isAlive) return;
    from.enter(() => {
      from.connected.delete(link.to);
      from.peerEvents!.onDisconnected(link.to);
    });
    this.#dial(from, link, 1);
  }

  #send(process: SimProcess, to: NodeId, message: Message): void {
    if (!process.effect()) return;
    const { dice, scheduler, onSent, count, overTheWire } = this.#ports;
    onSent(process.node, to, message);
    const link = this.#links.get(process.node)!.get(to);
    if (link === undefined) return;
    const { stream } = link;
    if (stream === null || stream.from !== process) return;
    if (link.isCut) return count("network: cut");
    if (link.inFlight >= this.#settings.queue) return count("network: queue full");
    if (link.lossChance > 0 && dice.chance(link.lossChance)) return count("network: lost");
    const isCopied =
      (link.duplicateChance > 0 && dice.chance(link.duplicateChance)) ||
      (this.#settings.reorders && message.kind === "snapshotChunk" && dice.chance(STRAY_CHUNK_CHANCE));
    const copies = isCopied ? 2 : 1;
    if (copies === 2) count("network: duplicated");
    for (let copy = 0; copy < copies; copy += 1) {
      let arrivalMs = Math.max(scheduler.nowMs, link.cloggedUntilMs) + this.#delayMs(link);
      if (this.#settings.reorders && copy > 0) arrivalMs += dice.exponential(LATE_COPY_MS);
      if (!this.#settings.reorders) arrivalMs = Math.max(arrivalMs, link.lastArrivalMs);
      link.lastArrivalMs = Math.max(arrivalMs, link.lastArrivalMs);
      link.inFlight += 1;
      scheduler.at(arrivalMs, () => this.#arrive(link, stream, overTheWire(message)));
    }
  }

  #arrive(link: Link, stream: Stream, message: Message): void {
    link.inFlight -= 1;
    if (stream.isBroken || link.isCut) return;
    if (!stream.to.isAlive) {
      // A machine that is up again knows nothing of the old connection, and says so.
      if (this.#ports.processOf(link.to) !== null) this.#break(link, stream);
      return;
    }
    this.messages += 1;
    const { to } = stream;
    to.enter(() => {
      if (isAdmitted(stream)) return to.peerEvents!.onMessage(link.from, message);
      this.#askAnew(link, stream);
    });
  }

  /** Who was added since it connected introduces itself anew, also when it has nothing to say. */
  #reconsider(to: SimProcess): void {
    for (const from of this.#nodes) {
      if (from === to.node) continue;
      const link = this.link(from, to.node);
      const { stream } = link;
      if (stream !== null && stream.to === to && !isAdmitted(stream)) this.#askAnew(link, stream);
    }
  }

  #askAnew(link: Link, stream: Stream): void {
    this.#ports.count("introduced anew");
    this.#break(link, stream);
  }

  #delayMs(link: Link): number {
    const { dice } = this.#ports;
    const { delayMinMs, delayMeanMs } = this.#settings;
    const extraMs = link.extraDelayMs === 0 ? 0 : dice.exponential(link.extraDelayMs);
    return delayMinMs + dice.exponential(delayMeanMs) + extraMs;
  }
}

function isAdmitted({ from, to, admission }: Stream): boolean {
  return to.introduction!.directories.admits(from.node, admission);
}

const HANDSHAKE_TIMEOUT_MS = 1_000;
const HEALTHY_AGAIN_MS = 200;
/** Mean, where nothing keeps its order: until then the world has moved on. */
const LATE_COPY_MS = 500;
/** Where nothing keeps its order, also without a fault: chunks are few, and a late one must not undo what came after it. */
const STRAY_CHUNK_CHANCE = 0.3;

function healthyLink(from: NodeId, to: NodeId): Link {
  return {
    from,
    to,
    isCut: false,
    lossChance: 0,
    duplicateChance: 0,
    extraDelayMs: 0,
    cloggedUntilMs: 0,
    stream: null,
    retry: null,
    lastArrivalMs: 0,
    inFlight: 0,
  };
}
