import { encodeCommand } from "#codec";
import { ClusterTimeMs, LogIndex, NodeId, type Revision, Sequence, SessionId, Term, WallTimeMs } from "#kernel";
import { type Entry, type RaftStatus, type Ready, settledConfiguration } from "#raft";
import { type Command, type Decision, emptyCapabilities, type Operation as Change } from "#statemachine";
import type { CheckerReport } from "../../../src/sim/checkers/checker.ts";
import { Replay } from "../../../src/sim/checkers/replay.ts";
import type { Operation, OperationRequest } from "../../../src/sim/history.ts";

export const [n1, n2, n3] = [NodeId("n1"), NodeId("n2"), NodeId("n3")];

/** What checkers complained of, as `checker`. */
export class Complaints {
  readonly seen: string[] = [];
  readonly report: CheckerReport = (checker, problem) => {
    this.seen.push(checker);
    this.problems.push(problem);
  };
  readonly problems: string[] = [];
}

/** A log in the making and its replay: every call is one committed entry, a second after the last. */
export class Log {
  readonly replay = new Replay();
  #index = 0;

  get index(): LogIndex {
    return LogIndex(this.#index);
  }

  append(command: Command): Decision {
    this.#index += 1;
    const entry: Entry = { ...entryAt(this.#index, 1), kind: "command", data: encodeCommand(command) };
    this.replay.committed(n1, [entry]);
    return this.replay.at(this.#index)!.decision!;
  }

  open(): SessionId {
    this.append(plain(openSession));
    return SessionId(`s-${this.#index}`);
  }
}

export function entryAt(index: number, term: number, data = new Uint8Array(0)): Entry {
  return {
    index: LogIndex(index),
    term: Term(term),
    kind: "command",
    clusterTimeMs: ClusterTimeMs(index * 1_000),
    wallTimeMs: WallTimeMs(index * 1_000),
    data,
  };
}

export const openSession: Change = {
  kind: "openSession",
  nodeId: NodeId("worker"),
  incarnation: 1,
  principal: "",
  purpose: "",
  ttlMs: 600_000,
  capabilities: emptyCapabilities,
};

export const plain = (operation: Change): Command => ({
  sessionId: null,
  sequence: null,
  firstUnackedSequence: Sequence(0),
  operation,
});

export const own = (sessionId: SessionId, sequence: number, operation: Change): Command => ({
  sessionId,
  sequence: Sequence(sequence),
  firstUnackedSequence: Sequence(1),
  operation,
});

/** Operations in the order in which they are called here; time is given by hand. */
export class History {
  #number = 0;

  call(calledMs: number, request: OperationRequest | Command): Operation {
    this.#number += 1;
    const given: OperationRequest = "operation" in request ? { kind: "write", command: request } : request;
    return { number: this.#number, client: 1, request: given, calledMs, outcome: null };
  }

  answer(operation: Operation, atMs: number, decision: Decision): Operation {
    const answer = { kind: "decided", decision } as const;
    operation.outcome = { kind: "ok", atMs, node: n1, index: decision.revision, answer, value: null };
    return operation;
  }

  value(operation: Operation, atMs: number, index: number, value: unknown): Operation {
    operation.outcome = { kind: "ok", atMs, node: n1, index: index as Revision, answer: null, value: JSON.stringify(value) };
    return operation;
  }
}

export function status(over: Partial<RaftStatus>): RaftStatus {
  return {
    term: Term(1),
    votedFor: null,
    role: "follower",
    leader: null,
    lastIndex: LogIndex(0),
    lastTerm: Term(0),
    commitIndex: LogIndex(0),
    appliedIndex: LogIndex(0),
    configuration: settledConfiguration([n1, n2, n3]),
    configurationIndex: LogIndex(0),
    progress: null,
    electionCount: 0,
    ownTermCommitted: false,
    ...over,
  } as RaftStatus;
}

export function ready(entries: readonly Entry[]): Ready {
  const persist = { batch: 1, hardState: null, entries, thenSend: [] };
  return { persist } as unknown as Ready;
}
