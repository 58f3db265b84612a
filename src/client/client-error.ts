import { type Reason, type Refusal, refusal, surfaces } from "#kernel";

/**
 * Every rejection of the client. `code` is the stable reason (docs/errors.md). `outcome` says what happened to a write:
 * `failed` = it did not and will not happen; `unknown` = it may have happened, or may still happen.
 */
export class ClientError extends Error {
  override readonly name = "ClientError";
  readonly code: Reason;
  readonly outcome: "failed" | "unknown";
  readonly refusal: Refusal;
  /** What a person can do about it: one sentence. */
  readonly hint: string;

  constructor(refused: Refusal, outcome: "failed" | "unknown", options?: ErrorOptions) {
    super(`${refused.reason}: ${refused.message}`, options);
    this.code = refused.reason;
    this.outcome = outcome;
    this.refusal = refused;
    this.hint = surfaces[refused.reason].hint;
  }
}

export function clientError(
  reason: Reason,
  message: string,
  outcome: "failed" | "unknown" = "failed",
  options?: ErrorOptions,
): ClientError {
  return new ClientError(refusal(reason, message), outcome, options);
}
