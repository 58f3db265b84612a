import type { Observer, Report, WorldView } from "../observer.ts";
import { DurableAck } from "./durable-ack.ts";
import { ElectionSafety } from "./election-safety.ts";
import { Linearizability } from "./linearizability.ts";
import { NodeLogs } from "./node-logs.ts";
import { Replay } from "./replay.ts";

export type { CheckerName } from "./checker.ts";

/** All checkers of a run, in the order in which they must be told: what others look up comes first. */
export function createCheckers(view: WorldView, report: Report): readonly Observer[] {
  const logs = new NodeLogs(view);
  const replay = new Replay();
  return [logs, replay, new ElectionSafety(report), new DurableAck(view, logs, report), new Linearizability(replay, report)];
}
