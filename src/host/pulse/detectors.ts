import { lookup } from "node:dns/promises";
import { randomInt } from "node:crypto";
import { NodeId, seededRandom } from "#kernel";
import {
  type FormerLives,
  Membership,
  type MembershipPorts,
  rememberedAs,
  type Removal,
  type Testimony,
  testimonyOf,
  worthRemembering,
} from "#membership";
import type { HttpPollEvent, SwimEvent } from "#membership/core";
import { membershipMetrics } from "#observe";
import type { PulseSnapshot } from "#ports";
import { nodeAead } from "../aead.ts";
import { systemClock, systemTimers } from "../clock.ts";
import { listenTcp } from "../tcp.ts";
import { bindUdp } from "../udp.ts";
import type { Answer, MembershipPages } from "./answers.ts";
import { describeHttpEvent, describeSwimEvent, type EventLine } from "./event-lines.ts";
import type { GossipKeyChanges } from "./gossip-key-changes.ts";
import { httpGetAs } from "./http-get.ts";
import { figuresOf } from "./membership-figures.ts";
import type { MembershipEvent, PulseMembership } from "./messages.ts";
import { nodesBody, snakeCase, summaryBody } from "./nodes-body.ts";

/** The membership of this node in the pulse thread: its sockets, and one life after another. */
export class Detectors {
  readonly #start: PulseMembership;
  readonly #tell: (event: MembershipEvent) => void;
  readonly #ports: MembershipPorts;
  readonly #closeSockets: () => void;
  #keys: readonly Uint8Array[];
  /** Loaded at the first change: most nodes never see one. */
  #keyChanges: Promise<GossipKeyChanges> | null = null;
  /** What was told of late, the newest last, for whoever looks at `GET /v1/nodes`. */
  readonly #recent: (EventLine & { readonly at_wall_ms: number })[] = [];
  /** Since the start of the process, by event. */
  readonly #events = new Map<string, number>();
  #life: Membership | null = null;
  #remembered = "";
  /** The file tells when this node was there last, also where nothing changes. */
  readonly #rewriting = setInterval(() => {
    this.#remembered = "";
    this.#remember();
  }, REMEMBER_EVERY_MS).unref();
  #rememberTimer: ReturnType<typeof setTimeout> | null = null;
  /** How often main's present silence has counted against this node's health. */
  #lags = 0;
  /** Main was silent so long that this node has fallen silent too. */
  #isStalled = false;

  /** Binds the sockets; rejects with the system's error. Nothing is sent before {@link join}. */
  static async open(start: PulseMembership, tell: (event: MembershipEvent) => void): Promise<Detectors> {
    if (start.setup.mode === "http") return new Detectors(start, tell, null, () => {});
    const datagrams = await bindUdp(start.bind);
    try {
      const streams = await listenTcp(start.bind, start.setup.swim.maxMembers);
      return new Detectors(start, tell, { datagrams, streams }, () => {
        datagrams.close();
        streams.close();
      });
    } catch (error) {
      datagrams.close();
      throw error;
    }
  }

  private constructor(
    start: PulseMembership,
    tell: (event: MembershipEvent) => void,
    sockets: MembershipPorts["sockets"],
    closeSockets: () => void,
  ) {
    this.#start = start;
    this.#keys = start.setup.keys;
    this.#tell = tell;
    this.#closeSockets = closeSockets;
    this.#ports = {
      clock: systemClock(),
      timers: systemTimers(),
      random: seededRandom(randomInt(2 ** 32)),
      aead: nodeAead,
      sockets,
      get: httpGetAs(start.setup.id),
      resolve: resolveName,
      machine: start.machine,
      onSwimEvent: (event) => this.#swimEvent(event),
      onHttpEvent: (event) => this.#httpEvent(event),
      onUnresolved: (places) =>
        this.#log({ level: "warn", message: "no address of this node is known yet", fields: { places: places.join(" ") } }),
    };
  }

  join(lives: FormerLives): void {
    this.#life?.close();
    this.#isStalled = false;
    const life = new Membership({ ...this.#start.setup, keys: this.#keys }, lives, this.#ports);
    this.#life = life;
    life.join().then(
      (joined) => {
        if (joined.ok) setTimeout(() => this.#reportSelfTest(life), SELF_TEST_AFTER_MS).unref();
        else this.#log({ level: "error", message: "membership cannot start", fields: { why: joined.refusal.message } });
      },
      (error: unknown) => this.#log({ level: "error", message: "membership cannot start", fields: { why: String(error) } }),
    );
  }

  get pages(): MembershipPages {
    const metrics = membershipMetrics();
    return {
      look: () => this.#life?.look() ?? null,
      summary: summaryBody,
      nodes: (look) => ({ ...nodesBody(this.#start.setup.id, look), events: this.#recent }),
      metrics: (look) => metrics.render(figuresOf(look, this.#events)),
    };
  }

  /** Members that are alive or suspect, this node included; null before the first view. */
  present(): number | null {
    return this.#life?.present() ?? null;
  }

  contact(id: string): void {
    this.#life?.contact(NodeId(id));
  }

  /** What main says of this node. */
  ownStatus(status: PulseSnapshot["status"]): void {
    this.#life?.hearStatus(this.#start.setup.id, status);
  }

  testimony(about: readonly NodeId[]): Testimony | null {
    const look = this.#life?.look() ?? null;
    return look === null ? null : testimonyOf(look, about);
  }

  remove(removals: readonly Removal[]): void {
    this.#life?.remove(removals);
  }

  /** Main was heard `silentMs` ago: late is told to the others, and too late is a crash. */
  mainSilent(silentMs: number, limits: { readonly degradedAfterMs: number; readonly stalledAfterMs: number }): void {
    if (this.#life === null) return;
    if (silentMs <= limits.stalledAfterMs) {
      this.#life.setDegraded(silentMs > limits.degradedAfterMs);
      // Again and again, for probes that succeed take it back; this thread's own lag the core sees by its timers.
      const lags = Math.ceil(silentMs / limits.degradedAfterMs) - 1;
      if (lags > this.#lags) this.#life.reportLag(silentMs);
      this.#lags = lags;
      // It runs again, but the others have declared this life dead or soon will.
      if (this.#isStalled && silentMs <= limits.degradedAfterMs) {
        this.#isStalled = false;
        this.#tell({ kind: "life-wanted" });
      }
      return;
    }
    if (this.#isStalled) return;
    this.#isStalled = true;
    this.#life.fail();
    this.#log({ level: "error", message: "main thread is silent: this node leaves as failed", fields: { silent_ms: silentMs } });
  }

  /** `POST /admin/gossip-keys`, from somebody who may; null where no key is in use. */
  async changeKeys(body: string): Promise<Answer | null> {
    const { keyFile, setup } = this.#start;
    if (keyFile === null) return null;
    this.#keyChanges ??= import("./gossip-key-changes.ts").then(
      (module) =>
        new module.GossipKeyChanges({
          nodeId: setup.id,
          keyFile,
          keys: () => this.#keys,
          apply: (keys) => {
            this.#keys = keys;
            this.#life?.setKeys(keys);
          },
          look: () => this.#life?.look() ?? null,
          log: (line) => this.#log(line),
        }),
    );
    return await (await this.#keyChanges).answer(body);
  }

  async leave(): Promise<void> {
    await this.#life?.leave();
    this.#tell({ kind: "left" });
  }

  close(): void {
    if (this.#rememberTimer !== null) clearTimeout(this.#rememberTimer);
    clearInterval(this.#rewriting);
    this.#life?.close();
    this.#closeSockets();
  }

  #swimEvent(event: SwimEvent): void {
    this.#count(event.kind);
    if (event.kind === "persist-incarnation") this.#tell({ kind: "boot", boot: event.incarnation.epoch });
    const line = describeSwimEvent(event);
    if (line !== null) this.#log(line);
    this.#rememberTimer ??= setTimeout(() => this.#remember(), REMEMBER_AFTER_MS);
  }

  #httpEvent(event: HttpPollEvent): void {
    this.#count(`http-${event.kind}`);
    this.#log(describeHttpEvent(event));
  }

  #count(kind: string): void {
    this.#events.set(kind, (this.#events.get(kind) ?? 0) + 1);
  }

  #remember(): void {
    this.#rememberTimer = null;
    const view = this.#life?.look().swim?.view;
    if (view === undefined) return;
    const members = worthRemembering(
      view.members.map(({ record }) => record),
      this.#start.setup.id,
    );
    const text = rememberedAs(members);
    if (text === this.#remembered) return;
    this.#remembered = text;
    this.#tell({ kind: "members", members });
  }

  #reportSelfTest(life: Membership): void {
    const test = life === this.#life ? (life.look().swim?.selfTest ?? null) : null;
    if (test === null) return;
    const failed = Object.values(test).includes("failed");
    this.#log({
      level: failed ? "warn" : "info",
      message: "membership self-test",
      fields: snakeCase(test) as EventLine["fields"],
    });
  }

  #log({ level, message, fields }: EventLine): void {
    this.#recent.push({ at_wall_ms: this.#ports.clock.now().wallMs, level, message, fields });
    if (this.#recent.length > MAX_RECENT) this.#recent.shift();
    this.#tell({ kind: "log", level, message, fields });
  }
}

const MAX_RECENT = 50;
const SELF_TEST_AFTER_MS = 3_000;
/** Changes come in crowds, at a start above all. */
const REMEMBER_AFTER_MS = 2_000;
const REMEMBER_EVERY_MS = 600_000;

async function resolveName(name: string): Promise<readonly string[]> {
  try {
    return (await lookup(name, { all: true })).map(({ address }) => address);
  } catch {
    return [];
  }
}
