/**
 * The seam between the main thread and the pulse thread: messages by value. Main pushes what `/status`, `/health` and
 * `/metrics` shall say; pulse answers with the last one and says how old it is (`stale_ms`).
 */
export interface PulseSnapshot {
  /** The body of `GET /status`, without `stale_ms`, in the protocol's spelling. */
  readonly status: Readonly<Record<string, unknown>>;
  /** The body of `GET /election/status`, without `stale_ms`. */
  readonly election: Readonly<Record<string, unknown>>;
  /** Prometheus text. */
  readonly metrics: string;
  /** False while a named clause of health does not hold; `reasons` lists the clauses. */
  readonly healthy: boolean;
  readonly reasons: readonly string[];
}

/** A POST that pulse let pass: its caller may make it. */
export interface PulseRequest {
  readonly path: string;
  readonly body: string;
}

export interface PulseFeed {
  push(snapshot: PulseSnapshot): void;
  /** Who answers requests that change something; until somebody does they are refused with 503. */
  handle(handler: (request: PulseRequest) => Promise<{ readonly code: number; readonly body: object }>): void;
  close(): Promise<void>;
}
