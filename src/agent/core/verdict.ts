import { assertNever } from "#kernel";

/** How an item's program ended, whether a child process or a function. */
export type End =
  | { readonly kind: "succeeded"; readonly result: string | null }
  | { readonly kind: "failed"; readonly code: string; readonly message: string; readonly retryable: boolean };

/** Why the agent told it to stop; null = it ended by itself. */
export type StopReason = "cancel" | "timeout" | "drain" | "lost";

/** What the queue is told. `silent`: the claim is not ours any more, so nothing. */
export type Verdict =
  | { readonly kind: "complete"; readonly result: string }
  | {
      readonly kind: "fail";
      readonly code: string;
      readonly message: string;
      readonly retryable: boolean;
      readonly cause: "app" | "timeout" | "cancelled";
    }
  | { readonly kind: "release"; readonly reason: string }
  | { readonly kind: "silent" };

export function verdict(end: End, stopped: StopReason | null): Verdict {
  switch (stopped) {
    case null:
      return onItsOwn(end);
    case "lost":
      return { kind: "silent" };
    case "cancel":
      return { kind: "fail", code: "CANCELLED", message: "cancelled while running", retryable: false, cause: "cancelled" };
    case "timeout":
      return { kind: "fail", code: "TIMEOUT", message: "ran longer than allowed", retryable: true, cause: "timeout" };
    case "drain":
      // Programs that exit with 0 on SIGTERM have not finished; a printed result says that this one has.
      return end.kind === "succeeded" && end.result !== null ? onItsOwn(end) : { kind: "release", reason: "the worker drains" };
    default:
      return assertNever(stopped, "reason to stop");
  }
}

/** A lost claim overrules everything: nobody asks for its report. Otherwise the first reason stands. */
export function strongerReason(present: StopReason | null, next: StopReason): StopReason {
  return present === null || next === "lost" ? next : present;
}

/** sysexits.h EX_DATAERR: the input is wrong, so another attempt would fail as well. */
export const EXIT_NOT_RETRYABLE = 65;

export interface Exit {
  readonly code: number | null;
  readonly signal: string | null;
  /** The program could not be started. */
  readonly error: string | null;
}

export function endOfChild(exit: Exit, result: string | null, errorTail: string): End {
  if (exit.error !== null) return { kind: "failed", code: "SPAWN_FAILED", message: exit.error, retryable: true };
  if (exit.code === 0) return { kind: "succeeded", result };
  const how = exit.signal === null ? `exit code ${exit.code}` : `signal ${exit.signal}`;
  return {
    kind: "failed",
    code: exit.signal === null ? `EXIT_${exit.code}` : exit.signal,
    message: errorTail === "" ? how : `${how}: ${errorTail}`,
    retryable: exit.code !== EXIT_NOT_RETRYABLE,
  };
}

function onItsOwn(end: End): Verdict {
  if (end.kind === "failed") return { ...end, message: end.message.slice(0, MAX_MESSAGE), kind: "fail", cause: "app" };
  const result = end.result ?? "";
  const bytes = utf8Bytes(result);
  if (bytes <= MAX_RESULT_BYTES) return { kind: "complete", result };
  const message = `the result has ${bytes} bytes, at most ${MAX_RESULT_BYTES} are allowed`;
  return { kind: "fail", code: "RESULT_TOO_LARGE", message, retryable: false, cause: "app" };
}

function utf8Bytes(text: string): number {
  let bytes = 0;
  for (let i = 0; i < text.length; i += 1) {
    const unit = text.charCodeAt(i);
    // A surrogate is half of a four-byte character.
    bytes += unit < 0x80 ? 1 : unit < 0x800 || (unit >= 0xd800 && unit <= 0xdfff) ? 2 : 3;
  }
  return bytes;
}

const MAX_RESULT_BYTES = 65_536;
/** The queue takes 4,096 bytes, and no character needs more than three for each of its units. */
const MAX_MESSAGE = 1_365;
