import { NodeId } from "#kernel";
import type { HttpPollCore, HttpPollEvent, HttpPollView, Peer, Poll, PollResult } from "#membership/core";
import type { Clock, HttpGet, HttpGetResult, Timer, Timers } from "#ports";

export interface HttpPollPorts {
  readonly clock: Clock;
  readonly timers: Timers;
  readonly get: HttpGet;
  readonly onEvent: (event: HttpPollEvent) => void;
  /** A peer answered for itself; told before the event that it causes. */
  readonly onHeard: (id: NodeId, boot: string | null) => void;
}

/** Runs the polling core: makes its requests, wakes it when something is due. */
export class HttpPollDriver {
  readonly #core: HttpPollCore;
  readonly #ports: HttpPollPorts;
  #timer: Timer | null = null;
  #isClosed = false;

  constructor(core: HttpPollCore, peers: readonly Peer[], ports: HttpPollPorts) {
    this.#core = core;
    this.#ports = ports;
    core.setPeers(this.#now(), peers);
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
    const result = pollResultOf(await this.#ports.get(`${address}/status`, timeoutMs));
    if (this.#isClosed) return;
    if (result.kind === "answered" && result.nodeId === peer) this.#ports.onHeard(result.nodeId, result.boot);
    this.#core.handleResult(this.#now(), poll, result);
    this.#pump();
  }
}

/** Whoever stands at the address answers: what goes on to logs and pages is short and plain. */
const NODE_ID = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;
const BOOT = /^[0-9]{1,10}$/;

/** `GET /status`: who answers, and in which life. An older version tells no boot. */
export function pollResultOf(got: HttpGetResult): PollResult {
  if (got.kind === "failed") return got;
  if (got.status !== 200) return { kind: "failed", why: "status" };
  let body: unknown;
  try {
    body = JSON.parse(got.body);
  } catch {
    return { kind: "failed", why: "not-json" };
  }
  const { node_id: nodeId, membership } = (body ?? {}) as { readonly node_id?: unknown; readonly membership?: unknown };
  if (typeof nodeId !== "string" || !NODE_ID.test(nodeId)) return { kind: "failed", why: "not-json" };
  const boot = (membership as { readonly boot?: unknown } | null | undefined)?.boot;
  return { kind: "answered", nodeId: NodeId(nodeId), boot: typeof boot === "string" && BOOT.test(boot) ? boot : null };
}
