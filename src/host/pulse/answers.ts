import type { PulseSnapshot } from "#ports";
import { DEGRADED_AFTER_MS, STALLED_AFTER_MS } from "./messages.ts";

export interface Answer {
  readonly code: number;
  readonly type: string;
  readonly body: string;
  /** Of a 405: what is allowed. */
  readonly allow?: string;
}

/** What the node says about itself, from main's last snapshot and from how long main has been silent. */
export class Answers {
  readonly #nodeId: string;
  readonly #now: () => number;
  #snapshot: PulseSnapshot | null = null;
  #snapshotAt: number;
  #mainAt: number;

  /** `now`: a monotonic clock in milliseconds. */
  constructor(nodeId: string, now: () => number) {
    this.#nodeId = nodeId;
    this.#now = now;
    this.#snapshotAt = now();
    this.#mainAt = now();
  }

  accept(snapshot: PulseSnapshot): void {
    this.#snapshot = snapshot;
    this.#snapshotAt = this.#now();
    this.mainBeat();
  }

  mainBeat(): void {
    this.#mainAt = this.#now();
  }

  status(): Answer {
    const known = this.#snapshot?.status ?? { status: "starting", node_id: this.#nodeId, leader_id: null };
    const status = this.#silentMs() > DEGRADED_AFTER_MS ? { ...known, status: "degraded" } : known;
    return json(200, { ...status, stale_ms: this.#staleMs() });
  }

  election(): Answer {
    const known = this.#snapshot?.election ?? { node_id: this.#nodeId, leader_id: null, election_in_progress: true };
    return json(200, { ...known, stale_ms: this.#staleMs() });
  }

  health(): Answer {
    const silentMs = this.#silentMs();
    const stalled = silentMs > STALLED_AFTER_MS;
    const silent = silentMs > DEGRADED_AFTER_MS;
    const healthy = this.#snapshot?.healthy === true && !stalled;
    const reasons = [...(this.#snapshot?.reasons ?? ["starting"]), ...(silent ? [`main_thread: silent for ${silentMs} ms`] : [])];
    const status = this.#snapshot === null ? "starting" : stalled || !healthy ? "failing" : silent ? "degraded" : "ok";
    return json(healthy ? 200 : 503, { status, node_id: this.#nodeId, healthy, reasons, stale_ms: this.#staleMs() });
  }

  metrics(): Answer {
    const own =
      "# HELP ringrift_pulse_stale_seconds Age of the snapshot that this page was made from.\n" +
      "# TYPE ringrift_pulse_stale_seconds gauge\n" +
      `ringrift_pulse_stale_seconds ${this.#staleMs() / 1_000}\n`;
    return { code: 200, type: "text/plain; version=0.0.4; charset=utf-8", body: `${this.#snapshot?.metrics ?? ""}${own}` };
  }

  #staleMs(): number {
    return Math.round(this.#now() - this.#snapshotAt);
  }

  #silentMs(): number {
    return Math.round(this.#now() - this.#mainAt);
  }
}

function json(code: number, body: object): Answer {
  return { code, type: "application/json", body: `${JSON.stringify(body)}\n` };
}
