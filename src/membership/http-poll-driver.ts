import { NodeId } from "#kernel";
import type { HttpPollCore, HttpPollEvent, HttpPollView, Peer, Poll, PollResult } from "#membership/core";
import type { Clock, HttpGet, HttpGetResult, Timer, Timers } from "#ports";

export interface HttpPollPorts {
  readonly clock: Clock;
  readonly timers: Timers;
  readonly get: HttpGet;
  readonly onEvent: (event: HttpPollEvent) => void;
  /** A peer answered for itself, with this page; told before the event that it causes. */
  readonly onHeard: (id: NodeId, boot: string | null, status: StatusPage) => void;
}

export type StatusPage = Readonly<Record<string, unknown>>;

/** Runs the polling core: makes its requests, wakes it when something is due. */
export class HttpPollDriver {
  readonly #core: HttpPollCore;
  readonly #ports: HttpPollPorts;
  #timer: Timer | null = null;
  #isClosed = false;

  constructor(core: HttpPollCore, peers: readonly Peer[], ports: HttpPollPorts) {
    this.#core = core;
    this.#ports = ports;
    this.setPeers(peers);
  }

  /** Whom to ask from now on; those who stay keep their state. */
  setPeers(peers: readonly Peer[]): void {
    this.#core.setPeers(this.#now(), peers);
    this.#pump();
  }

  view(): HttpPollView {
    return this.#core.view(this.#now());
  }

  /** The peer has polled this node. */
  contact(id: NodeId): void {
    this.#core.handleContact(this.#now(), id);
    this.#pump();
  }

  close(): void {
    this.#isClosed = true;
    this.#timer?.cancel();
  }

  #now() {
    return this.#ports.clock.now().monotonicMs;
  }

  #pump(): void {
    if (this.#isClosed) return;
    for (const poll of this.#core.takePolls()) void this.#ask(poll);
    for (const event of this.#core.takeEvents()) this.#ports.onEvent(event);
    this.#timer?.cancel();
    const next = this.#core.nextDeadline;
    if (next === null) return;
    this.#timer = this.#ports.timers.after(Math.max(1, Math.ceil(next - this.#now())), () => {
      this.#core.handleTimeout(this.#now());
      this.#pump();
    });
  }

  async #ask({ poll, peer, address, timeoutMs }: Poll): Promise<void> {
    const got = await this.#ports.get(`${address}/status`, timeoutMs);
    if (this.#isClosed) return;
    const page = pageIn(got);
    const result = pollResultOf(got, page);
    if (result.kind === "answered" && result.nodeId === peer) this.#ports.onHeard(peer, result.boot, page ?? {});
    this.#core.handleResult(this.#now(), poll, result);
    this.#pump();
  }
}

/** Whoever stands at the address answers: what goes on to logs and pages is short and plain. */
const NODE_ID = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;
const BOOT = /^[0-9]{1,10}$/;

/** `GET /status`: who answers, and in which life. An older version tells no boot. */
export function pollResultOf(got: HttpGetResult, page: StatusPage | null = pageIn(got)): PollResult {
  if (got.kind === "failed") return got;
  if (got.status !== 200) return { kind: "failed", why: "status" };
  const { node_id: nodeId, membership } = page ?? {};
  if (typeof nodeId !== "string" || !NODE_ID.test(nodeId)) return { kind: "failed", why: "not-json" };
  const boot = (membership as { readonly boot?: unknown } | null | undefined)?.boot;
  return { kind: "answered", nodeId: NodeId(nodeId), boot: typeof boot === "string" && BOOT.test(boot) ? boot : null };
}

/** Null for what is no object in JSON. */
function pageIn(got: HttpGetResult): StatusPage | null {
  if (got.kind === "failed") return null;
  try {
    const page: unknown = JSON.parse(got.body);
    return typeof page === "object" ? (page as StatusPage | null) : null;
  } catch {
    return null;
  }
}
