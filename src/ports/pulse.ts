/**
 * The seam between the main thread and the pulse thread: messages by value. Main pushes what `/status`, `/health` and
 * `/metrics` shall say; pulse answers with the last one and says how old it is (`stale_ms`).
 */
export interface PulseSnapshot {
  /** The body of `GET /status`, without `stale_ms`, in the protocol's spelling. */
  readonly status: Readonly<Record<string, unknown>>;
  /** Prometheus text. */
  readonly metrics: string;
  /** False while a named clause of health does not hold; `reasons` lists the clauses. */
  readonly healthy: boolean;
  readonly reasons: readonly string[];
}

export interface PulseFeed {
  push(snapshot: PulseSnapshot): void;
  close(): Promise<void>;
}
