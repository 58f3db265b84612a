import { isTerminal, awaitsFirstStart, removeWork } from "./items.ts";
import { cancelNow, lose, outOfTime, retry } from "./endings.ts";
import type { WorkRecord } from "./record.ts";
import type { State } from "../state.ts";

/** The one timer of a work item has fired: what is due, the most final first. */
export function workTimerFired(state: State, record: WorkRecord): void {
  const { item } = record;
  const { spec, claim } = item;
  if (isTerminal(item.state)) {
    removeWork(state, record);
    return;
  }
  if (claim !== null && item.cancelRequested !== null && isDue(state, item.cancelRequested.atMs, state.limits.cancelGraceMs)) {
    cancelNow(state, record, item);
  } else if (spec.deadlineMs !== 0 && isDue(state, item.enqueuedAtMs, spec.deadlineMs)) {
    outOfTime(state, record, "DEADLINE_EXCEEDED", `not finished within deadline_ms ${spec.deadlineMs}`);
  } else if (
    awaitsFirstStart(item) &&
    spec.scheduleToStartTimeoutMs !== 0 &&
    isDue(state, item.enqueuedAtMs, spec.scheduleToStartTimeoutMs)
  ) {
    const message = `not claimed within schedule_to_start_timeout_ms ${spec.scheduleToStartTimeoutMs}`;
    outOfTime(state, record, "SCHEDULE_TO_START_TIMEOUT", message);
  } else if (claim !== null && spec.heartbeatTimeoutMs !== 0 && isDue(state, claim.lastHeartbeatAtMs, spec.heartbeatTimeoutMs)) {
    lose(state, record, "HEARTBEAT_TIMEOUT", `no heartbeat for heartbeat_timeout_ms ${spec.heartbeatTimeoutMs}`);
  } else {
    const message = `not finished within start_to_close_timeout_ms ${spec.startToCloseTimeoutMs}`;
    retry(state, record, "timeout", { code: "START_TO_CLOSE_TIMEOUT", message, retryable: true, cause: "timeout" });
  }
}

const isDue = (state: State, sinceMs: number, afterMs: number): boolean => sinceMs + afterMs <= state.now;
