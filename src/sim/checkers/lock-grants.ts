import type { CheckerReport } from "./checker.ts";
import type { Replay } from "./replay.ts";

/** A lock is never given to a session that has ended: nobody would ever release it (etcd#11456). Sees what the replay executes. */
export function watchLockGrants(replay: Pick<Replay, "objectAt" | "onExecuted">, report: CheckerReport): void {
  replay.onExecuted(({ entry, events }) => {
    for (const { object, key } of events) {
      if (object?.kind !== "lock" || object.value.holder?.fencingToken !== entry.index) continue;
      const { sessionId } = object.value.holder;
      if (replay.objectAt("session", sessionId, entry.index) !== null) continue;
      report("lock-exclusion", `lock ${key} was granted at index ${entry.index} to ${sessionId}, which had ended`);
    }
  });
}
