import type { MembershipLook } from "#membership";
import type { PulseSnapshot } from "#ports";
import { DEGRADED_AFTER_MS, type PulseStart } from "./messages.ts";

export interface Answer {
  readonly code: number;
  readonly type: string;
  readonly body: string;
  /** Of a 405: what is allowed. */
  readonly allow?: string;
}

/** The part of the answers that is made in this thread and so is never old. Null: no detector runs here. */
export interface MembershipPages {
  /** Null before the node has begun to join. */
  readonly look: () => MembershipLook | null;
  readonly summary: (look: MembershipLook) => Readonly<Record<string, unknown>>;
  readonly nodes: (look: MembershipLook) => Readonly<Record<string, unknown>>;
  readonly metrics: (look: MembershipLook) => string;
}

/** What the node says about itself, from main's last snapshot and from how long main has been silent. */
export class Answers {
  readonly #nodeId: string;
  readonly #maxMainStallMs: number;
  readonly #now: () => number;
  readonly #membership: MembershipPages | null;
  #snapshot: PulseSnapshot | null = null;
  #snapshotAt: number;
  #mainAt: number;

  /** `now`: a monotonic clock in milliseconds. */
  constructor(
    { nodeId, maxMainStallMs }: Pick<PulseStart, "nodeId" | "maxMainStallMs">,
    now: () => number,
    membership: MembershipPages | null = null,
  ) {
    this.#nodeId = nodeId;
    this.#maxMainStallMs = maxMainStallMs;
    this.#now = now;
    this.#membership = membership;
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

  /** 503 once main counts as hung: peers that poll this page, in any version, then hold the node silent, as SWIM's do. */
  status(): Answer {
    const known = this.#snapshot?.status ?? { status: "starting", node_id: this.#nodeId, leader_id: null };
    const silentMs = this.#silentMs();
    const stalled = silentMs > this.#maxMainStallMs;
    const status = stalled
      ? { ...known, status: "failing" }
      : silentMs > DEGRADED_AFTER_MS
        ? { ...known, status: "degraded" }
        : known;
    return json(stalled ? 503 : 200, { ...status, ...this.#membershipStatus(), stale_ms: this.#staleMs() });
  }

  /** `GET /v1/nodes`. */
  nodes(): Answer {
    const look = this.#membership?.look() ?? null;
    if (look !== null) return json(200, { ...this.#membership!.nodes(look), ...this.#committed(), stale_ms: 0 });
    const [code, reason, message] =
      this.#membership === null
        ? [404, "NOT_FOUND", "no detector runs on this node: its configuration has no membership section"]
        : [503, "UNAVAILABLE", "this node is starting"];
    return json(code as number, { error: { code, reason, message } });
  }

  election(): Answer {
    const known = this.#snapshot?.election ?? { node_id: this.#nodeId, leader_id: null, election_in_progress: true };
    return json(200, { ...known, stale_ms: this.#staleMs() });
  }

  /** Healthy, and its view is the cluster's as far as it can tell; `reasons` names the clauses that do not hold. */
  converged(): Answer {
    const own = this.health();
    const { reasons: ownReasons, ...body } = JSON.parse(own.body) as { readonly reasons: readonly string[] };
    const look = this.#membership?.look() ?? null;
    const clauses = look?.clauses ?? [
      { name: "joined", broken: this.#membership === null ? "no detector runs on this node" : "this node is starting" },
    ];
    const broken = clauses.flatMap((clause) => (clause.broken === null ? [] : [`${clause.name}: ${clause.broken}`]));
    const converged = own.code === 200 && broken.length === 0;
    const clausesBody = clauses.map((clause) => ({ name: clause.name, holds: clause.broken === null, detail: clause.broken }));
    return json(converged ? 200 : 503, { ...body, converged, reasons: [...ownReasons, ...broken], clauses: clausesBody });
  }

  health(): Answer {
    const silentMs = this.#silentMs();
    const stalled = silentMs > this.#maxMainStallMs;
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
    return {
      code: 200,
      type: "text/plain; version=0.0.4; charset=utf-8",
      body: `${this.#snapshot?.metrics ?? ""}${this.#membershipMetrics()}${own}`,
    };
  }

  /** What the log holds about nodes, as old as main's last snapshot; null on a worker, which has no log. */
  #committed(): object {
    const { committed_nodes: nodes = null, committed_partition: partition = null, holders = {} } = this.#snapshot?.status ?? {};
    return { committed: nodes === null ? null : { nodes, partition, holders, stale_ms: this.#staleMs() } };
  }

  #membershipStatus(): object {
    const look = this.#membership?.look() ?? null;
    return look === null ? {} : { membership: this.#membership!.summary(look) };
  }

  #membershipMetrics(): string {
    const look = this.#membership?.look() ?? null;
    return look === null ? "" : this.#membership!.metrics(look);
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
