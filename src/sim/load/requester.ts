import {
  afterLoss,
  afterRefusal,
  backoffMs,
  LeaderSearch,
  leavesDoubt,
  type Nature,
  outcomeWhenGivenUp,
  type SearchStep,
} from "#client/core";
import { NodeId, type Reason, type Refusal } from "#kernel";
import type { RunningReplica } from "#replica";
import type { ClientWorld } from "../world.ts";

/** One request until it is answered or given up: the same bytes again and again, wherever the leader is found. */
export interface Request<T> {
  readonly nature: Nature;
  /** After this long without an answer a try counts as lost. */
  readonly tryMs: number;
  /** When the caller gives up; Infinity = never. */
  readonly deadlineMs: number;
  /** Asked of this node only, once; null = of whoever leads. */
  readonly node: NodeId | null;
  readonly serve: (replica: RunningReplica, answer: (response: Response<T>) => void) => void;
  readonly settled: (result: Result<T>) => void;
}

export type Response<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly refusal: Refusal };

export type Result<T> =
  | { readonly kind: "answered"; readonly node: NodeId; readonly value: T; readonly doubtful: boolean }
  | { readonly kind: "gaveUp"; readonly outcome: "failed" | "unknown"; readonly reason: Reason };

/**
 * A client's way to the cluster. What to do about refusals and losses, and where to look for the leader, is decided by the
 * client library's own code; only the connections are simulated.
 */
export class Requester {
  readonly #world: ClientWorld;
  readonly #search: LeaderSearch;
  readonly #open = new Set<Sent<unknown>>();
  #node: NodeId;
  /** The search asks for a pause until then. */
  #resumeAtMs = 0;

  constructor(world: ClientWorld) {
    this.#world = world;
    this.#search = new LeaderSearch(world.nodes, world.random);
    this.#node = NodeId((this.#search.start() as Extract<SearchStep, { kind: "connect" }>).endpoint);
  }

  ask<T>(request: Request<T>): void {
    const sent: Sent<T> = { request, tries: 0, doubtful: false, hangUp: nothing };
    this.#open.add(sent as Sent<unknown>);
    this.#send(sent);
  }

  /** The client dies: nobody hears of the open requests again. */
  close(): void {
    for (const sent of this.#open) {
      sent.hangUp();
      sent.request.settled({
        kind: "gaveUp",
        outcome: outcomeWhenGivenUp(sent.request.nature, sent.tries > 0),
        reason: "CANCELLED",
      });
    }
    this.#open.clear();
  }

  #send<T>(sent: Sent<T>): void {
    const { request } = sent;
    const nowMs = this.#world.nowMs;
    if (nowMs >= request.deadlineMs) return this.#giveUp(sent, "TIMEOUT");
    if (request.node === null && nowMs < this.#resumeAtMs) return this.#sendAfter(sent, this.#resumeAtMs - nowMs);
    const node = request.node ?? this.#node;
    sent.tries += 1;
    const timeout = this.#world.after(request.tryMs, () => {
      hangUp();
      this.#lost(sent, node, true);
    });
    const hangUp = this.#world.call<Response<T>>(node, request.serve, {
      onAnswer: (response) => {
        timeout.cancel();
        hangUp();
        if (response.ok) this.#answered(sent, node, response.value);
        else this.#refused(sent, node, response.refusal);
      },
      onBroken: (how) => {
        timeout.cancel();
        this.#lost(sent, node, how === "reset");
      },
    });
    sent.hangUp = () => {
      timeout.cancel();
      hangUp();
    };
  }

  #sendAfter<T>(sent: Sent<T>, delayMs: number): void {
    const timer = this.#world.after(delayMs, () => this.#send(sent));
    sent.hangUp = () => timer.cancel();
  }

  #answered<T>(sent: Sent<T>, node: NodeId, value: T): void {
    if (sent.request.node === null) this.#search.found(node);
    this.#settle(sent, { kind: "answered", node, value, doubtful: sent.doubtful });
  }

  #refused<T>(sent: Sent<T>, node: NodeId, { reason, leader }: Refusal): void {
    const verdict = afterRefusal(reason, sent.request.nature, sent.doubtful);
    if (verdict.kind === "tell") return this.#settle(sent, { kind: "gaveUp", outcome: verdict.outcome, reason });
    if (leavesDoubt(reason)) sent.doubtful = true;
    if (sent.request.node !== null) return this.#giveUp(sent, reason);
    if (verdict.where === "here") return this.#sendAfter(sent, backoffMs(sent.tries, BACKOFF_CAP_MS, this.#world.random));
    this.#leave(node, () => (leader === null || leader === node ? this.#search.leaderless() : this.#search.hinted(leader)));
    this.#send(sent);
  }

  #lost<T>(sent: Sent<T>, node: NodeId, mayHaveRun: boolean): void {
    this.#world.count("request tried again");
    if (mayHaveRun) {
      sent.doubtful = true;
      if (afterLoss(sent.request.nature).kind === "tell") {
        return this.#settle(sent, { kind: "gaveUp", outcome: "unknown", reason: "UNKNOWN_OUTCOME" });
      }
    }
    if (sent.request.node !== null) return this.#giveUp(sent, "UNAVAILABLE");
    this.#leave(node, () => this.#search.failed(node));
    this.#send(sent);
  }

  /** Several requests may find the same node wanting; the first one moves the client on. */
  #leave(node: NodeId, next: () => SearchStep): void {
    if (node !== this.#node) return;
    const step = next();
    if (step.kind === "connect") this.#node = NodeId(step.endpoint);
    this.#resumeAtMs = this.#world.nowMs + step.delayMs;
  }

  #giveUp<T>(sent: Sent<T>, reason: Reason): void {
    this.#settle(sent, { kind: "gaveUp", outcome: outcomeWhenGivenUp(sent.request.nature, sent.doubtful), reason });
  }

  #settle<T>(sent: Sent<T>, result: Result<T>): void {
    if (this.#open.delete(sent as Sent<unknown>)) sent.request.settled(result);
  }
}

interface Sent<T> {
  readonly request: Request<T>;
  tries: number;
  /** An earlier try may have been carried out. */
  doubtful: boolean;
  hangUp: () => void;
}

const nothing = (): void => {};
const BACKOFF_CAP_MS = 1_000;
