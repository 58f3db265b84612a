import type { NodeId } from "./ids.ts";
import type { Reason } from "./surfaces.ts";

/**
 * A "no" that is part of the protocol: data, never thrown inside a core. It travels unchanged from the state machine
 * through the log's reply table to gRPC, HTTP and the CLI, so `message` must be deterministic.
 */
export interface Refusal {
  readonly reason: Reason;
  /** One sentence that names the field, object or both numbers. */
  readonly message: string;
  /** The offending field in the protocol's spelling (`claim.max_items`), or null when the refusal is not about a field. */
  readonly field: string | null;
  /** Who leads, when known and useful (`NOT_LEADER`). */
  readonly leader: NodeId | null;
  /** Advice for `RESOURCE_EXHAUSTED` and `UNAVAILABLE`; null where a retry does not help. */
  readonly retryAfterMs: number | null;
}

export type Outcome<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly refusal: Refusal };

export const accepted = <T>(value: T): Outcome<T> => ({ ok: true, value });
export const refused = (refusal: Refusal): { readonly ok: false; readonly refusal: Refusal } => ({ ok: false, refusal });

/** Builds a refusal; only `reason` and `message` are always there. */
export function refusal(
  reason: Reason,
  message: string,
  more: { readonly field?: string; readonly leader?: NodeId | null; readonly retryAfterMs?: number } = {},
): Refusal {
  return {
    reason,
    message,
    field: more.field ?? null,
    leader: more.leader ?? null,
    retryAfterMs: more.retryAfterMs ?? null,
  };
}

/** A refusal at an edge that speaks in exceptions (the client SDK, the CLI, start-up). */
export class RefusalError extends Error {
  override readonly name = "RefusalError";
  readonly refusal: Refusal;
  constructor(refused: Refusal, options?: ErrorOptions) {
    super(`${refused.reason}: ${refused.message}`, options);
    this.refusal = refused;
  }
}
