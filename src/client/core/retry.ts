import { type Random, type Reason, surfaces } from "#kernel";

/**
 * What may be done with a request whose fate is not known:
 * - `repeatable`: doing it twice harms nobody (reads, renewals, opening a session);
 * - `deduplicated`: a write of a session; the same sequence is executed at most once, so it is sent until it is answered;
 * - `once`: a write without a session; never sent again after it may have arrived.
 */
export type Nature = "repeatable" | "deduplicated" | "once";

export type Verdict =
  /** Tell the caller. `outcome` is unknown when an earlier try may have been executed. */
  | { readonly kind: "tell"; readonly outcome: "failed" | "unknown" }
  /** Send the same bytes again, to the leader that is found then. */
  | { readonly kind: "again"; readonly where: "here" | "elsewhere" };

/**
 * Decides on a refusal. `doubtful`: an earlier try of this request was sent and never answered. Only a session's reply table
 * can vouch for such a try, so refusals that are given before it is asked leave the outcome unknown.
 */
export function afterRefusal(reason: Reason, nature: Nature, doubtful: boolean): Verdict {
  switch (reason) {
    case "OVERLOADED":
    case "NO_QUORUM":
      return HERE;
    case "NOT_LEADER":
    case "NO_LEADER":
    case "UNAVAILABLE":
      return ELSEWHERE;
    case "UNKNOWN_OUTCOME":
      return nature === "once" ? UNKNOWN : ELSEWHERE;
    case "SESSION_EXPIRED":
    case "UNAUTHENTICATED":
    case "PERMISSION_DENIED":
    case "INTERNAL":
    case "TIMEOUT":
    case "CANCELLED":
      return doubtful && nature !== "repeatable" ? UNKNOWN : FAILED;
    default:
      return FAILED;
  }
}

/** Does this refusal leave a try behind that may have been executed? */
export function leavesDoubt(reason: Reason): boolean {
  return surfaces[reason].retry === "unknown";
}

/** The connection is gone, or the caller's patience is: what happened to a request that had been sent? */
export function afterLoss(nature: Nature): Verdict {
  return nature === "once" ? UNKNOWN : ELSEWHERE;
}

/** The outcome of a request that is given up. Reads change nothing, so theirs is never unknown. */
export function outcomeWhenGivenUp(nature: Nature, doubtful: boolean): "failed" | "unknown" {
  return doubtful && nature !== "repeatable" ? "unknown" : "failed";
}

/** Exponential with equal jitter: half of it certain, half of it spread, so that clients do not come back in step. */
export function backoffMs(failures: number, capMs: number, random: Random, firstMs = FIRST_BACKOFF_MS): number {
  const full = Math.min(capMs, firstMs * 2 ** Math.min(failures, 16));
  return full / 2 + (full / 2) * random();
}

const FIRST_BACKOFF_MS = 25;
const FAILED: Verdict = { kind: "tell", outcome: "failed" };
const UNKNOWN: Verdict = { kind: "tell", outcome: "unknown" };
const HERE: Verdict = { kind: "again", where: "here" };
const ELSEWHERE: Verdict = { kind: "again", where: "elsewhere" };
