import { completeWorkSpec, lockToProto, sessionToProto, workItemToProto } from "#codec";
import { type ClusterTimeMs, LogIndex, NodeId, SessionId, type WallTimeMs, WorkId } from "#kernel";
import type { Lock, Session, WorkItem } from "#statemachine";
import type { Response } from "#gen/ringraft/v1/stream.js";
import type { Seen } from "./fake-server.ts";

type Body = Response["body"];

const versioned = { createRevision: LogIndex(1), modRevision: LogIndex(1), version: 1 };
const START = 0 as ClusterTimeMs;

export function item(workId: string, more: Partial<WorkItem> = {}): WorkItem {
  return {
    workId: WorkId(workId),
    spec: completeWorkSpec({ kind: "test" }),
    state: "PENDING",
    attempt: 0,
    lossCount: 0,
    epoch: 0,
    availableAtMs: 0,
    claim: null,
    progress: null,
    cancelRequested: null,
    result: "",
    lastError: null,
    attempts: [],
    enqueuedAtMs: START,
    enqueuedWallMs: 0 as WallTimeMs,
    finishedAtMs: null,
    ...versioned,
    ...more,
  };
}

export function workAnswer(workId: string): Body {
  return { oneofKind: "work", work: { item: workItemToProto(item(workId)), deduplicated: false } };
}

export function session(id: string, ttlMs: number): Session {
  return {
    sessionId: SessionId(id),
    nodeId: NodeId("client"),
    incarnation: 0,
    principal: "",
    purpose: "",
    state: "OPEN",
    ttlMs,
    deadlineMs: START,
    capabilities: null,
    openedAtMs: START,
    openedWallMs: 0 as WallTimeMs,
    ...versioned,
  };
}

export function sessionAnswer(id: string, ttlMs: number): Body {
  return { oneofKind: "session", session: { session: sessionToProto(session(id, ttlMs)) } };
}

export function lockAnswer(name: string, sessionId: string, token: number): Body {
  const lock: Lock = {
    name,
    state: "HELD",
    holder: { sessionId: SessionId(sessionId), nodeId: NodeId("client"), fencingToken: LogIndex(token), acquiredAtMs: START },
    waiters: [],
    lockDelayMs: 0,
    delayUntilMs: null,
    purpose: "",
    lastToken: LogIndex(token),
    ...versioned,
  };
  return { oneofKind: "lock", lock: { lock: lockToProto(lock), granted: true } };
}

/** Answers what a session needs to live; hands everything else to `script`. */
export function withSession(script: (request: Seen) => void, ttlMs = 15_000): (request: Seen) => void {
  return (request) => {
    if (request.operation?.kind === "openSession" || request.body.oneofKind === "renewSession") {
      request.answer(sessionAnswer("s1", ttlMs));
    } else if (request.operation?.kind === "closeSession") request.answer({ oneofKind: undefined });
    else script(request);
  };
}
