import type { LogIndex, NodeId, Term } from "#kernel";
import { isVoter, type RaftStatus, type Ready } from "#raft";
import { decisionOf } from "./checkers/answers.ts";
import type { Replay } from "./checkers/replay.ts";
import type { Observer, ObservedStep, WorldView } from "./observer.ts";
import type { Operation } from "./history.ts";

/**
 * Rare branches that many runs together must have been through: a simulator that never gets there proves nothing about them.
 * Each is derived from raw counters of the world (marks of the core, lines of the nodes' logs, faults), or from what
 * {@link Sometimes} sees; the raw names stand beside it.
 */
export const sometimesSources = {
  "log truncated on conflict": ["mark: conflict truncated"],
  "an old term's entry overwritten (Figure 8)": ["seen: figure 8"],
  "election lost": ["mark: election lost"],
  "leader without a quorum stepped down": ["mark: checkQuorum: stepped down"],
  "calm kept though a voter is deaf for its leader": ["a voter deaf for its leader alone"],
  "leader with a stalled disk gave up the lead": ["mark: stepped down: disk stalled", "transfer: disk stalled"],
  "lead moved to a voter of higher priority": ["transfer: priority"],
  "torn tail cut": ["warning: torn tail of the log cut off: it was never acknowledged"],
  "corrupt middle refused": ["process ended: damaged data"],
  "suspect mode entered": [
    "error: this voter is suspect: it gives no vote and counts for nothing until a leader has caught it up",
  ],
  "suspect mode lifted": ["mark: suspicion lifted"],
  "snapshot installed": ["mark: snapshot installed"],
  "install interrupted": ["seen: install interrupted"],
  "snapshot chunk repeated": ["mark: snapshot chunk repeated"],
  "damaged snapshot passed over": ["warning: a snapshot is damaged"],
  "duplicate reply served from the table": ["seen: duplicate answered"],
  "request tried again": ["request tried again"],
  "stale token refused": ["seen: FENCED"],
  "session expired": ["seen: session expired"],
  "claim lost by time": ["seen: claim lost"],
  "lock handed on to a waiter": ["seen: lock handed on"],
  "lock in its delay": ["seen: lock delayed"],
  "leader removed itself": ["seen: leader removed itself"],
  "joint configuration survived a leader crash": ["seen: joint configuration without its leader"],
  "learner promoted": ["mark: learners promoted"],
  "leadership transferred": ["seen: timeoutNow obeyed"],
  "transfer aborted": ["mark: transfer aborted"],
  "read rejected on leadership loss": ["seen: read rejected"],
  "read by lease": ["mark: read by lease"],
  "watch resumed after compaction": ["watch resumed after compaction"],
  "outcome left unknown": ["seen: unknown outcome"],
  "wiped node refused": ["directory refused: wiped"],
  "lost node added again": ["lost node rejoined"],
  "clone refused": ["clone refused"],
  "handed over before a stop": ["handed over before a stop"],
  "clock stepped": ["fault: clock-step"],
  "ENOSPC hit": ["disk: write met a full disk"],
  "EIO hit": ["disk: write failed", "disk: read failed"],
  "fsync failed": ["disk: sync failed"],
  "disk nearly full": ["error: the disk is nearly full: no command is taken until there is room"],
} as const satisfies Record<string, readonly string[]>;

export type SometimesName = keyof typeof sometimesSources;

/** Every name, with how often it happened according to the raw counters of one run or of many. */
export function sometimesOf(raw: Readonly<Record<string, number>>): Readonly<Record<SometimesName, number>> {
  const counted = Object.entries(sometimesSources).map(([name, from]) => [
    name,
    from.reduce((sum, key) => sum + (raw[key] ?? 0), 0),
  ]);
  return Object.fromEntries(counted) as Record<SometimesName, number>;
}

/** Sees what no single mark tells, and counts it under `seen: …`. */
export class Sometimes implements Observer {
  readonly #view: Pick<WorldView, "count">;
  readonly #answered = new Set<string>();
  readonly #installing = new Set<NodeId>();
  /** Leaders, each with whether its configuration is joint. */
  readonly #leading = new Map<NodeId, boolean>();
  /** Who was told to hold the entry of this index and term, and the term that came last at an index. */
  readonly #holders = new Map<string, Set<NodeId>>();
  readonly #newestAt = new Map<LogIndex, Term>();

  constructor(view: Pick<WorldView, "count">, replay: Pick<Replay, "onExecuted">) {
    this.#view = view;
    replay.onExecuted(({ events }) => {
      for (const { kind, object } of events) {
        if (kind === "session" && object === null) this.#saw("session expired");
        if (object?.kind === "work" && object.value.state === "PENDING" && object.value.attempts.at(-1)?.outcome === "lost")
          this.#saw("claim lost");
        if (object?.kind === "lock" && object.value.state === "DELAY") this.#saw("lock delayed");
        if (
          object?.kind === "lock" &&
          object.value.holder?.fencingToken === object.value.modRevision &&
          object.value.version > 1
        ) {
          this.#saw("lock handed on");
        }
      }
    });
  }

  stopped(node: NodeId): void {
    if (this.#installing.delete(node)) this.#saw("install interrupted");
    if (this.#leading.get(node) === true) this.#saw("joint configuration without its leader");
    this.#leading.delete(node);
  }

  stepped(node: NodeId, input: ObservedStep, { role, configuration }: RaftStatus): void {
    if (input.kind === "installed") this.#installing.delete(node);
    if (input.kind === "message" && input.message.kind === "timeoutNow" && role === "candidate") this.#saw("timeoutNow obeyed");
    const hasLed = this.#leading.has(node);
    if (role === "leader") this.#leading.set(node, configuration.votersOutgoing !== null);
    else if (hasLed) {
      this.#leading.delete(node);
      if (!isVoter(configuration, node)) this.#saw("leader removed itself");
    }
  }

  drained(node: NodeId, { persist, snapshotChunks, readsRejected }: Ready): void {
    if (snapshotChunks.length > 0) this.#installing.add(node);
    if (readsRejected.length > 0) this.#saw("read rejected");
    for (const { index, term } of persist?.entries ?? []) this.#held(node, index, term);
  }

  returned(operation: Operation): void {
    const { outcome, request } = operation;
    if (outcome?.kind === "unknown") this.#saw("unknown outcome");
    const decision = decisionOf(operation);
    if (decision === null || request.kind !== "write") return;
    if (!decision.outcome.ok && decision.outcome.refusal.reason === "FENCED") this.#saw("FENCED");
    const { sessionId, sequence } = request.command;
    if (sequence === null) return;
    const name = `${sessionId}/${sequence} ${decision.revision}`;
    if (this.#answered.has(name)) this.#saw("duplicate answered");
    this.#answered.add(name);
  }

  /** Figure 8: an entry that two nodes hold gives way to one of another term, which shows that copies alone commit nothing. */
  #held(node: NodeId, index: LogIndex, term: Term): void {
    const key = `${index}/${term}`;
    const holders = this.#holders.get(key);
    if (holders === undefined) {
      const replaced = this.#newestAt.get(index);
      if (replaced !== undefined && (this.#holders.get(`${index}/${replaced}`)?.size ?? 0) > 1) this.#saw("figure 8");
      this.#newestAt.set(index, term);
      this.#holders.set(key, new Set([node]));
    } else holders.add(node);
  }

  #saw(what: string): void {
    this.#view.count(`seen: ${what}`);
  }
}
