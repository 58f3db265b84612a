import { invariant, InvariantError, type Revision, type Sequence, type SessionId } from "#kernel";
import { insertJob } from "./jobs/jobs.ts";
import { newLock } from "./locks/locks.ts";
import { insertModel, insertVersion } from "./models/registry.ts";
import type { Session } from "./objects.ts";
import type { Decision, ObjectValue } from "./reply.ts";
import { insertSession } from "./sessions/sessions.ts";
import { remember } from "./sessions/replies.ts";
import type { State } from "./state.ts";
import { insertWork, ordinalOf } from "./work/items.ts";

/** Raised when a document changes its meaning; a machine refuses formats that it does not know. */
const snapshotFormat = 1;

/** The first document. The digest is checked after a restore: a snapshot that lost a line does not come to life. */
interface Header {
  readonly kind: "header";
  readonly format: number;
  readonly revision: Revision;
  readonly clusterTimeMs: number;
  readonly wallTimeMs: number;
  readonly digest: string;
}

type Document =
  | Header
  | Exclude<ObjectValue, { readonly kind: "session" }>
  | { readonly kind: "session"; readonly value: Session; readonly firstUnacked: number }
  | { readonly kind: "reply"; readonly sessionId: SessionId; readonly sequence: Sequence; readonly decision: Decision };

/**
 * The state of this moment as JSON documents. The references are taken now and written out as the caller goes on: since
 * objects are immutable, entries applied meanwhile do not show.
 */
export function snapshotOf(state: State): Iterable<string> {
  const header: Header = {
    kind: "header",
    format: snapshotFormat,
    revision: state.revision,
    clusterTimeMs: state.now,
    wallTimeMs: state.wall,
    digest: state.digest.hex(state.revision, state.now, state.wall),
  };
  const sessions = [...state.sessions.values()].map(({ session, firstUnacked, replies }) => ({
    session,
    firstUnacked,
    replies: [...replies],
  }));
  const objects: Document[] = [];
  for (const { job } of state.jobs.values()) objects.push({ kind: "job", value: job });
  for (const { model } of state.models.values()) objects.push({ kind: "model", value: model });
  const versions = [...state.models.values()].flatMap((record) => record.versions);
  const locks = [...state.locks.values()].map((record) => record.lock);
  const work = [...state.work.values()].map((record) => record.item);
  return (function* documents(): Generator<string> {
    yield JSON.stringify(header);
    for (const { session, firstUnacked, replies } of sessions) {
      yield JSON.stringify({ kind: "session", value: session, firstUnacked });
      for (const [sequence, decision] of replies) {
        yield JSON.stringify({ kind: "reply", sessionId: session.sessionId, sequence, decision });
      }
    }
    for (const object of objects) yield JSON.stringify(object);
    for (const value of versions) yield JSON.stringify({ kind: "model_version", value });
    for (const value of locks) yield JSON.stringify({ kind: "lock", value });
    for (const value of work) yield JSON.stringify({ kind: "work", value });
  })();
}

/** Fills an empty state. Throws {@link InvariantError} on documents that {@link snapshotOf} did not write. */
export function restoreInto(state: State, documents: Iterable<string>): void {
  let header: Header | null = null;
  for (const text of documents) {
    const document = JSON.parse(text) as Document;
    if (header !== null) restoreDocument(state, document);
    else {
      invariant(document.kind === "header", `a snapshot starts with its header, not with ${document.kind}`);
      header = document;
      restoreHeader(state, header);
    }
  }
  invariant(header !== null, "a snapshot of 0 documents");
  state.touchedJobs.clear();
  const digest = state.digest.hex(state.revision, state.now, state.wall);
  invariant(digest === header.digest, `the snapshot at ${header.revision} restores to digest ${digest}, not ${header.digest}`);
}

function restoreHeader(state: State, header: Header): void {
  invariant(header.format === snapshotFormat, `snapshot format ${header.format} is not ${snapshotFormat}`);
  state.revision = header.revision;
  state.now = header.clusterTimeMs as State["now"];
  state.wall = header.wallTimeMs as State["wall"];
}

function restoreDocument(state: State, document: Document): void {
  switch (document.kind) {
    case "session":
      insertSession(state, document.value, document.firstUnacked);
      return;
    case "reply": {
      const session = state.sessions.get(document.sessionId);
      invariant(session !== undefined, `a reply of ${document.sessionId} stands before its session`);
      remember(state, session, document.sequence, document.decision);
      return;
    }
    case "job":
      insertJob(state, document.value);
      return;
    case "model":
      insertModel(state, document.value);
      return;
    case "model_version": {
      const record = state.models.get(document.value.model);
      invariant(record !== undefined, `a version of ${document.value.model} stands before its model`);
      insertVersion(state, record, document.value);
      return;
    }
    case "lock":
      newLock(state, document.value);
      return;
    case "work":
      insertWork(state, document.value, ordinalOf(document.value.workId));
      return;
    case "header":
      throw new InvariantError(`a second header in the snapshot at ${state.revision}`);
  }
}
