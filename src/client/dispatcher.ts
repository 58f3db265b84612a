import { refusal, type Refusal } from "#kernel";
import { refusalFromProto } from "#codec";
import type { Response } from "#gen/ringraft/v1/stream.js";
import type { Call } from "./call.ts";
import { CallQueue } from "./call-queue.ts";
import { ClientError, clientError } from "./client-error.ts";
import { NEVER_MS, onGrid } from "./core/deadlines.ts";
import { afterLoss, afterRefusal, backoffMs, leavesDoubt, outcomeWhenGivenUp } from "./core/retry.ts";
import type { Link } from "./link.ts";

/** How the dispatcher reaches the cluster; filled by `Navigator`. */
export interface Route {
  /** The connection that calls of this kind can use now, or null. */
  usable(needsLeader: boolean): Link | null;
  /** Somebody waits: go and find the leader, if that is not under way. */
  wanted(): void;
  /** The node of `link` does not lead (any more); it may have named who does. */
  deposed(link: Link, hint: string): void;
  /** What went wrong last, for messages. */
  readonly lastTrouble: Error | null;
  /** Since a node last answered, nothing but refused connections: there is nobody at these addresses. */
  readonly nobodyThere: boolean;
}

/**
 * Owns every open call: gathers calls into frames, matches answers, sends again what may be sent again, and ends what has
 * run out of time. Links come and go underneath.
 */
export class Dispatcher {
  readonly #route: Route;
  readonly #maxInflight: number;
  readonly #open = new Set<Call>();
  readonly #forLeader = new CallQueue();
  readonly #forAnyNode = new CallQueue();
  #inflight = 0;
  #flushScheduled = false;
  #wakeAtMs = NEVER_MS;
  #wakeTimer: ReturnType<typeof setTimeout> | undefined;
  #closed = false;

  constructor(route: Route, maxInflight: number) {
    this.#route = route;
    this.#maxInflight = maxInflight;
  }

  /** Calls that wait for a connection. */
  get waiting(): boolean {
    return this.#forLeader.peek() !== null || this.#forAnyNode.peek() !== null;
  }

  /** Takes responsibility for a call; it is not sent before `enqueue`. */
  track(call: Call): void {
    if (this.#closed) {
      this.#settle(call).reject(clientError("CANCELLED", "the client is closed"));
      return;
    }
    this.#open.add(call);
    if (call.deadlineMs < this.#wakeAtMs) this.#wakeAt(call.deadlineMs);
    if (call.signal === null) return;
    call.onAbort = () => this.#abort(call);
    if (call.signal.aborted) call.onAbort();
    else call.signal.addEventListener("abort", call);
  }

  enqueue(call: Call): void {
    if (call.place === "settled") return;
    call.place = "queued";
    (call.needsLeader ? this.#forLeader : this.#forAnyNode).push(call);
    this.scheduleFlush();
  }

  /**
   * One frame per turn of the loop. A lone caller goes out as soon as the microtasks have run; under load it pays to wait
   * for the I/O that has already arrived, since every answer in it makes its caller ask again.
   */
  scheduleFlush(): void {
    if (this.#flushScheduled) return;
    this.#flushScheduled = true;
    if (this.#inflight < FEW_CALLERS) queueMicrotask(this.#flush);
    else setImmediate(this.#flush);
  }

  readonly #flush = (): void => {
    this.#flushScheduled = false;
    const served = this.#send(this.#forLeader, this.#route.usable(true));
    if (!this.#send(this.#forAnyNode, this.#route.usable(false)) || !served) this.#route.wanted();
  };

  /** Sends what has room in flight. False when calls are left because there is no connection for them. */
  #send(queue: CallQueue, link: Link | null): boolean {
    if (link === null) return queue.peek() === null;
    const nowMs = performance.now();
    for (let call = queue.peek(); call !== null && this.#inflight < this.#maxInflight; call = queue.peek()) {
      queue.shift();
      call.place = "sent";
      call.link = link;
      call.tries++;
      this.#inflight++;
      link.add(call, nowMs);
    }
    link.flush();
    return true;
  }

  answered(link: Link, call: Call, response: Response): void {
    this.#inflight--;
    if (this.waiting) this.scheduleFlush();
    if (response.body.oneofKind === "refusal") {
      const message = response.body.refusal;
      this.#refused(link, call, refusalFromProto(message), message.leaderAddress);
      return;
    }
    this.#settle(call);
    let value: unknown;
    try {
      value = call.decode(response);
    } catch (error) {
      call.reject(
        new ClientError(refusal("INTERNAL", "the answer cannot be read"), outcomeWhenGivenUp(call.nature, true), {
          cause: error,
        }),
      );
      return;
    }
    call.resolve(value as never);
  }

  /** The connection is gone: what was sent on it is sent again, or has an unknown outcome. */
  lost(link: Link, cause: Error): void {
    const calls = [...link.calls.values()];
    link.calls.clear();
    this.#inflight -= calls.length;
    for (const call of calls) this.#lostCall(link, call, cause);
  }

  /** A watch loses nothing by moving: it goes on after the last revision it saw. */
  moveWatches(link: Link): void {
    for (const call of link.calls.values()) {
      if (call.onBatch === null) continue;
      link.forget(call);
      this.#inflight--;
      this.enqueue(call);
    }
  }

  /** Ends a call without an answer. Its promise is left alone: the caller knows. */
  drop(call: Call): void {
    if (call.place !== "settled") this.#takeBack(call);
  }

  /** Every open call is rejected, and no other is taken. */
  close(): void {
    this.#closed = true;
    clearTimeout(this.#wakeTimer);
    for (const call of this.#open) {
      const outcome = outcomeWhenGivenUp(call.nature, this.#takeBack(call));
      call.reject(clientError("CANCELLED", "the client was closed", outcome));
    }
  }

  #lostCall(link: Link, call: Call, cause: Error): void {
    call.doubtful = true;
    if (afterLoss(call.nature).kind === "again") {
      this.enqueue(call);
      return;
    }
    const message = `the connection to ${link.endpoint} was lost before the answer came`;
    this.#settle(call);
    call.reject(clientError("UNKNOWN_OUTCOME", message, "unknown", { cause }));
  }

  #refused(link: Link, call: Call, refused: Refusal, leaderAddress: string): void {
    const verdict = afterRefusal(refused.reason, call.nature, call.doubtful);
    if (verdict.kind === "tell") {
      this.#settle(call);
      call.owner?.refused(refused);
      call.reject(new ClientError(refused, verdict.outcome));
      return;
    }
    if (leavesDoubt(refused.reason)) call.doubtful = true;
    call.lastRefusal = refused;
    if (verdict.where === "elsewhere") {
      this.#route.deposed(link, leaderAddress);
      this.enqueue(call);
      return;
    }
    call.place = "paused";
    call.resumeAtMs = performance.now() + (refused.retryAfterMs ?? backoffMs(call.tries - 1, MAX_PAUSE_MS, Math.random));
    this.#wakeAt(call.resumeAtMs);
  }

  #wakeAt(atMs: number): void {
    const wakeAtMs = onGrid(atMs);
    if (wakeAtMs >= this.#wakeAtMs) return;
    this.#wakeAtMs = wakeAtMs;
    clearTimeout(this.#wakeTimer);
    this.#wakeTimer = setTimeout(this.#sweep, Math.max(0, wakeAtMs - performance.now()));
  }

  /** The only clock of all calls: ends what is out of time, brings back what was paused, and sleeps until the next of either. */
  readonly #sweep = (): void => {
    this.#wakeAtMs = NEVER_MS;
    const nowMs = performance.now();
    let nextMs = NEVER_MS;
    for (const call of this.#open) {
      if (call.deadlineMs <= nowMs) {
        this.#expire(call);
        continue;
      }
      if (call.place === "paused" && call.resumeAtMs <= nowMs) this.enqueue(call);
      nextMs = Math.min(nextMs, call.place === "paused" ? Math.min(call.resumeAtMs, call.deadlineMs) : call.deadlineMs);
    }
    if (nextMs !== NEVER_MS) this.#wakeAt(nextMs);
  };

  #expire(call: Call): void {
    const outcome = outcomeWhenGivenUp(call.nature, this.#takeBack(call));
    const cause = this.#route.lastTrouble;
    const options = cause === null ? {} : { cause };
    if (outcome === "unknown") {
      call.reject(clientError("UNKNOWN_OUTCOME", `sent, and not answered within ${call.timeoutMs} ms`, outcome, options));
    } else if (call.lastRefusal !== null) {
      call.reject(new ClientError(call.lastRefusal, outcome, options));
    } else {
      const trouble = cause === null ? "" : ` (${cause.message})`;
      const reason = this.#route.nobodyThere ? "UNAVAILABLE" : "TIMEOUT";
      call.reject(clientError(reason, `not answered within ${call.timeoutMs} ms${trouble}`, outcome, options));
    }
  }

  #abort(call: Call): void {
    const outcome = outcomeWhenGivenUp(call.nature, this.#takeBack(call));
    call.reject(clientError("CANCELLED", "the caller gave up", outcome, { cause: call.signal?.reason }));
  }

  /** Ends a call from this side. Returns whether it may have been, or may yet be, executed. */
  #takeBack(call: Call): boolean {
    const sent = call.place === "sent";
    if (sent) {
      this.#inflight--;
      call.link?.forget(call);
    }
    this.#settle(call);
    return call.doubtful || sent;
  }

  #settle(call: Call): Call {
    call.place = "settled";
    this.#open.delete(call);
    if (call.onAbort !== null) call.signal?.removeEventListener("abort", call);
    call.owner?.settled(call);
    return call;
  }
}

/** Below this many open calls a frame leaves at once; above, frames are filled. */
const FEW_CALLERS = 8;
const MAX_PAUSE_MS = 1_000;
