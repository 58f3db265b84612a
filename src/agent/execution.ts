import type { Progress, WorkItem } from "#statemachine";
import { ChildOutput, ErrorTail } from "./core/child-output.ts";
import { type End, endOfChild } from "./core/verdict.ts";
import type { Handler, Processes, SpawnRequest } from "./types.ts";

/** A running program, process or function. `stop(true)` does not ask. */
export interface Execution {
  stop(force: boolean): void;
}

export interface ExecutionEvents {
  readonly onProgress: (progress: Progress) => void;
  /** Once. */
  readonly onEnd: (end: End) => void;
}

export function runChild(processes: Processes, request: SpawnRequest, events: ExecutionEvents): Execution {
  const output = new ChildOutput();
  const errors = new ErrorTail();
  const child = processes.spawn(request, {
    onOutput: (text) => {
      const progress = output.feed(text);
      if (progress !== null) events.onProgress(progress);
    },
    onErrorOutput: (text) => errors.feed(text),
    onExit: (exit) => {
      output.finish();
      events.onEnd(endOfChild(exit, output.result, errors.text));
    },
  });
  return { stop: (force) => (force ? child.kill() : child.terminate()) };
}

/** A function cannot be killed: on force its outcome is not waited for any more. */
export function runHandler(handler: Handler, item: WorkItem, events: ExecutionEvents): Execution {
  const abort = new AbortController();
  let ended = false;
  const end = (how: End): void => {
    if (ended) return;
    ended = true;
    events.onEnd(how);
  };
  const report = (progress: Progress): void => {
    if (!ended) events.onProgress(progress);
  };
  Promise.resolve()
    .then(() => handler({ item, signal: abort.signal, report }))
    .then(
      (result) => end({ kind: "succeeded", result }),
      (error: unknown) => end(failureOf(error)),
    );
  return {
    stop: (force) => {
      abort.abort();
      if (force) end({ kind: "failed", code: "KILLED", message: "the handler did not stop", retryable: true });
    },
  };
}

function failureOf(error: unknown): End {
  const retryable = !(typeof error === "object" && error !== null && "retryable" in error && error.retryable === false);
  const message = error instanceof Error ? error.message : String(error);
  return { kind: "failed", code: "HANDLER_FAILED", message: message.slice(0, MAX_MESSAGE), retryable };
}

const MAX_MESSAGE = 2_000;
