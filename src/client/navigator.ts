import { type ChannelCredentials, status } from "@grpc/grpc-js";
import type { Response } from "#gen/ringraft/v1/stream.js";
import type { Call } from "./call.ts";
import { LeaderSearch, type SearchStep } from "./core/leader-search.ts";
import { Dispatcher } from "./dispatcher.ts";
import { type Introduction, Link, type LinkEvents, channelCredentials } from "./link.ts";
import type { ClientOptions } from "./types.ts";

/**
 * Keeps one connection to the leader while somebody wants it. Moving on does not cut the old connection off: what was sent
 * there may still be answered for a while, so that plain writes do not end unknown only because the leadership moved.
 */
export class Navigator implements LinkEvents {
  readonly dispatcher: Dispatcher;
  readonly #search: LeaderSearch;
  readonly #credentials: ChannelCredentials;
  readonly #serverName: string | null;
  readonly #clusterId: string | null;
  #link: Link | null = null;
  /** Whom the connected follower named. */
  #hint = "";
  /** Where to go when somebody wants a connection. */
  #next: SearchStep;
  #stepTimer: ReturnType<typeof setTimeout> | null = null;
  readonly #retired = new Set<Link>();
  #closed = false;
  lastTrouble: Error | null = null;
  /** How attempts have ended since a node last introduced itself. */
  #attempts: "none" | "refused" | "mixed" = "none";

  constructor(options: ClientOptions) {
    this.dispatcher = new Dispatcher(this, options.maxInflight ?? DEFAULT_MAX_INFLIGHT);
    this.#search = new LeaderSearch(options.endpoints, Math.random);
    this.#next = this.#search.start();
    this.#credentials = channelCredentials(options.tls);
    this.#serverName = options.tls?.serverName ?? null;
    this.#clusterId = options.clusterId ?? null;
  }

  get nobodyThere(): boolean {
    return this.#attempts === "refused";
  }

  /** Addresses of client ports: the configured ones and those the cluster named. */
  get endpoints(): readonly string[] {
    return this.#search.endpoints;
  }

  usable(needsLeader: boolean): Link | null {
    const state = this.#link?.state;
    return state === "leader" || (state === "follower" && !needsLeader) ? this.#link : null;
  }

  wanted(): void {
    if (this.#closed || this.#stepTimer !== null || this.#link?.state === "asking") return;
    if (this.#link === null) this.#take(this.#next);
    else this.#pursue(this.#link);
  }

  deposed(link: Link, hint: string): void {
    if (link !== this.#link) return;
    if (link.state === "leader") link.state = "follower";
    if (hint !== "") this.#hint = hint;
  }

  introduced(link: Link, introduction: Introduction): void {
    if (link !== this.#link) return;
    this.#attempts = "none";
    const { clusterId, role, leaderAddress, memberAddresses } = introduction;
    if (this.#clusterId !== null && clusterId !== this.#clusterId) {
      link.close(new Error(`${link.endpoint} belongs to cluster ${clusterId}, not to ${this.#clusterId}`));
      return;
    }
    this.#search.learn(memberAddresses);
    this.#hint = leaderAddress === link.endpoint ? "" : leaderAddress;
    if (role === "leader") {
      link.state = "leader";
      this.lastTrouble = null;
    } else {
      link.state = "follower";
      this.lastTrouble = new Error(`${link.endpoint} ${leaderAddress === "" ? "knows no leader" : "does not lead"}`);
    }
    this.dispatcher.scheduleFlush();
  }

  answered(link: Link, call: Call, response: Response): void {
    this.dispatcher.answered(link, call, response);
    if (link !== this.#link && link.calls.size === 0) link.close(RETIRED);
  }

  down(link: Link, cause: Error): void {
    this.#retired.delete(link);
    if (link === this.#link) {
      this.#link = null;
      this.lastTrouble = cause;
      this.#attempts = isRefused(cause) && this.#attempts !== "mixed" ? "refused" : "mixed";
      this.#credit(link);
      this.#next = this.#search.failed(link.endpoint);
    }
    this.dispatcher.lost(link, cause);
    if (this.dispatcher.waiting) this.dispatcher.scheduleFlush();
  }

  close(): void {
    this.#closed = true;
    if (this.#stepTimer !== null) clearTimeout(this.#stepTimer);
    this.dispatcher.close();
    for (const link of [this.#link, ...this.#retired]) link?.close(new Error("the client is closed"));
  }

  /** The connected node does not lead: go where it points, or ask on. */
  #pursue(link: Link): void {
    this.#credit(link);
    const hint = this.#hint;
    this.#hint = "";
    this.#take(hint === "" || hint === link.endpoint ? this.#search.leaderless() : this.#search.hinted(hint));
  }

  /** The search begins anew at a node that has led, when it is over with it. */
  #credit(link: Link): void {
    if (!link.hasLed) return;
    link.hasLed = false;
    this.#search.found(link.endpoint);
  }

  #take(step: SearchStep): void {
    if (step.delayMs <= 0) {
      this.#perform(step);
      return;
    }
    this.#stepTimer = setTimeout(() => {
      this.#stepTimer = null;
      this.#perform(step);
    }, step.delayMs);
  }

  #perform(step: SearchStep): void {
    const link = this.#link;
    if (step.kind === "ask" || step.endpoint === link?.endpoint) {
      if (link === null) this.wanted();
      else link.ask();
      return;
    }
    if (link !== null) this.#retire(link);
    this.#link = new Link(step.endpoint, this.#credentials, this.#serverName, this);
  }

  #retire(link: Link): void {
    this.#link = null;
    this.#retired.add(link);
    this.dispatcher.moveWatches(link);
    if (link.calls.size === 0) link.close(RETIRED);
    else setTimeout(() => link.close(RETIRED), RETIREMENT_MS).unref();
  }
}

/** gRPC's UNAVAILABLE. A node that accepts a connection and says nothing ends with an error of ours instead, without a code. */
function isRefused(cause: Error): boolean {
  return "code" in cause && cause.code === status.UNAVAILABLE;
}

const DEFAULT_MAX_INFLIGHT = 4_096;
/** Time for a node that is not the leader any more to answer what it has. */
const RETIREMENT_MS = 2_000;
const RETIRED = new Error("the client has moved on to another node");
