import { Sometimes } from "../counters.ts";
import type { Observer, Report, WorldView } from "../observer.ts";
import { CommitMonotone } from "./commit-monotone.ts";
import { DoubleSuccess } from "./double-success.ts";
import { DurableAck } from "./durable-ack.ts";
import { ElectionSafety } from "./election-safety.ts";
import { EmptyClaim } from "./empty-claim.ts";
import { ExactlyOnce } from "./exactly-once.ts";
import { LeaderCompleteness } from "./leader-completeness.ts";
import { Linearizability } from "./linearizability.ts";
import { Liveness } from "./liveness.ts";
import { watchLockGrants } from "./lock-grants.ts";
import { LockExclusion } from "./locks.ts";
import { LogMatching } from "./log-matching.ts";
import { NodeLogs } from "./node-logs.ts";
import { NoLostJob } from "./no-lost-job.ts";
import { Reference } from "./reference.ts";
import { Replay } from "./replay.ts";
import { LinearizabilitySearch } from "./search/checker.ts";
import { StateMachineSafety } from "./state-machine-safety.ts";
import { VoteSafety } from "./vote-safety.ts";
import { WatchChecker } from "./watch.ts";

export type { CheckerName } from "./checker.ts";

export interface CheckerOptions {
  /** Also the costly search for a linearization. */
  readonly searches?: boolean;
  /** False: the lead may move in a healthy cluster too. */
  readonly keepsLeader?: boolean;
}

/** All checkers of a run, and the eye for rare branches, in the order in which they must be told: what others look up comes first. */
export function createCheckers(
  view: WorldView,
  report: Report,
  { searches = false, keepsLeader = true }: CheckerOptions = {},
): readonly Observer[] {
  const logs = new NodeLogs();
  const replay = new Replay();
  watchLockGrants(replay, report);
  return [
    logs,
    replay,
    new ElectionSafety(report),
    new VoteSafety(report),
    new LogMatching(logs, report),
    new LeaderCompleteness(logs, report),
    new DurableAck(view, logs, report),
    new StateMachineSafety(logs, replay, report),
    new CommitMonotone(report),
    new Reference(report),
    new Linearizability(replay, report),
    new ExactlyOnce(replay, report),
    new NoLostJob(replay, report),
    new DoubleSuccess(report),
    new LockExclusion(view, report),
    new EmptyClaim(replay, report),
    new WatchChecker(replay, report),
    ...(searches ? [new LinearizabilitySearch(view, report)] : []),
    new Liveness(view, replay, report, keepsLeader),
    new Sometimes(view, replay),
  ];
}
