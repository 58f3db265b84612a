import type { Log } from "#ports";

/** A node that is up: what must be closed, in which order, and how it ends. */
export interface RunningNode {
  /** Ends gracefully: workers drain, voters close their doors, then the log. */
  stop(): Promise<void>;
}

const STOP_LIMIT_MS = 10_000;

/**
 * Resolves with the exit code once a signal has stopped the node. A second signal ends the process at once; a stop that hangs
 * is cut off after `limitMs`.
 */
export function untilStopped(node: RunningNode, log: Log, limitMs = STOP_LIMIT_MS): Promise<number> {
  return new Promise((resolve) => {
    let stopping = false;
    const stop = (signal: NodeJS.Signals): void => {
      if (stopping) {
        log.warn("second signal: ending at once", { signal });
        process.exit(1);
      }
      stopping = true;
      log.info("stopping", { signal });
      const cut = setTimeout(() => {
        log.error("the stop took too long and was cut off", { limit_ms: limitMs });
        resolve(1);
      }, limitMs);
      node.stop().then(
        () => {
          clearTimeout(cut);
          log.info("stopped");
          resolve(0);
        },
        (error: unknown) => {
          log.error("the stop failed", { error: String(error) });
          resolve(1);
        },
      );
    };
    process.on("SIGTERM", stop);
    process.on("SIGINT", stop);
  });
}
