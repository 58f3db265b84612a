import { invariant, InvariantError, type Revision, type Sequence, type SessionId } from "#kernel";
import { insertJob } from "./jobs/jobs.ts";
import { newLock } from "./locks/locks.ts";
import { NEWEST_LEVEL, setFeatureLevel } from "./features.ts";
import { insertNode, insertPartition } from "./nodes/records.ts";
import { insertModel, insertVersion } from "./models/registry.ts";
import type { Session, WorkItem } from "./objects.ts";
import type { Decision, ObjectValue } from "./reply.ts";
import { insertSession } from "./sessions/sessions.ts";
import { remember } from "./sessions/replies.ts";
import type { State } from "./state.ts";
import { insertWork } from "./work/items.ts";
import { unpackWork } from "./work/packed.ts";
import { placeOfWork } from "./work/record.ts";

/**
 * Raised when a document changes its meaning; a machine refuses formats that it does not know. Format 1 wrote work items as
 * objects with names; such documents are still read. Format 3 has a feature level, nodes and a partition; below level 1 there are
 * none of them, and format 2 is written, so that a voter of an older version can be caught up in the middle of an upgrade.
 */
const snapshotFormat = 3;
const formatWithoutFeatures = 2;

/** The first document. The digest is checked after a restore: a snapshot that lost a line does not come to life. */
interface Header {
  readonly kind: "header";
  readonly format: number;
  readonly revision: Revision;
  readonly clusterTimeMs: number;
  readonly wallTimeMs: number;
  readonly digest: string;
  /** Absent: 0. */
  readonly featureLevel?: number;
}

type Document =
  | Header
  | Exclude<ObjectValue, { readonly kind: "session" }>
  | { readonly kind: "session"; readonly value: Session; readonly firstUnacked: number }
  | { readonly kind: "reply"; readonly sessionId: SessionId; readonly sequence: Sequence; readonly decision: Decision };

/**
 * The state of this moment as JSON documents: one per object, work items as arrays ({@link packWork}). What there are few of is
 * referred to now, work items are frozen in their table, and all of it is written out as the caller goes on.
 */
export function snapshotOf(state: State): Iterable<string> {
  const header: Header = {
    kind: "header",
    format: state.featureLevel === 0 ? formatWithoutFeatures : snapshotFormat,
    revision: state.revision,
    clusterTimeMs: state.now,
    wallTimeMs: state.wall,
    digest: state.digest.hex(state.revision, state.now, state.wall),
    ...(state.featureLevel === 0 ? {} : { featureLevel: state.featureLevel }),
  };
  const sessions = [...state.sessions.values()].map(({ session, firstUnacked, replies }) => ({
    session,
    firstUnacked,
    replies: [...replies],
  }));
  const jobs = [...state.jobs.values()].map((record) => record.job);
  const models = [...state.models.values()].map((record) => record.model);
  const versions = [...state.models.values()].flatMap((record) => record.versions);
  const locks = [...state.locks.values()].map((record) => record.lock);
  const nodes = [...state.nodes.values()];
  const { partition } = state;
  const work = state.work.freeze();
  return (function* documents(): Generator<string> {
    yield JSON.stringify(header);
    for (const { session, firstUnacked, replies } of sessions) {
      yield JSON.stringify({ kind: "session", value: session, firstUnacked });
      for (const [sequence, decision] of replies) {
        yield JSON.stringify({ kind: "reply", sessionId: session.sessionId, sequence, decision });
      }
    }
    for (const value of jobs) yield JSON.stringify({ kind: "job", value });
    for (const value of models) yield JSON.stringify({ kind: "model", value });
    for (const value of versions) yield JSON.stringify({ kind: "model_version", value });
    for (const value of locks) yield JSON.stringify({ kind: "lock", value });
    for (const value of nodes) yield JSON.stringify({ kind: "node", value });
    if (partition !== null) yield JSON.stringify({ kind: "partition", value: partition });
    for (const version of work) yield version.packed();
  })();
}

/** Fills an empty state, one document after the other. Throws {@link InvariantError} on what {@link snapshotOf} did not write. */
export class Refill {
  readonly #state: State;
  #header: Header | null = null;

  constructor(state: State) {
    this.#state = state;
  }

  add(text: string): void {
    if (this.#header === null) this.#begin(JSON.parse(text) as Document);
    else if (text.startsWith("[")) restoreWork(this.#state, unpackWork(text), text);
    else restoreDocument(this.#state, JSON.parse(text) as Document);
  }

  finish(): void {
    const state = this.#state;
    const header = this.#header;
    invariant(header !== null, "a snapshot of 0 documents");
    state.touchedJobs.clear();
    const digest = state.digest.hex(state.revision, state.now, state.wall);
    invariant(digest === header.digest, `the snapshot at ${header.revision} restores to digest ${digest}, not ${header.digest}`);
  }

  #begin(document: Document): void {
    invariant(document.kind === "header", `a snapshot starts with its header, not with ${document.kind}`);
    this.#header = document;
    restoreHeader(this.#state, document);
  }
}

function restoreHeader(state: State, header: Header): void {
  const isKnown = header.format >= 1 && header.format <= snapshotFormat;
  invariant(isKnown, `snapshot format ${header.format} is not one of 1 to ${snapshotFormat}`);
  state.revision = header.revision;
  state.now = header.clusterTimeMs as State["now"];
  state.wall = header.wallTimeMs as State["wall"];
  const level = header.featureLevel ?? 0;
  invariant(
    level <= NEWEST_LEVEL,
    `the snapshot at ${header.revision} has feature level ${level}, this version knows ${NEWEST_LEVEL}`,
  );
  setFeatureLevel(state, level);
}

function restoreWork(state: State, item: WorkItem, packed: string | null): void {
  const place = placeOfWork(item.workId);
  if (place === null) throw new InvariantError(`a work item is called ${item.workId}`);
  insertWork(state, item, place.ordinal, packed);
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
      restoreWork(state, document.value, null);
      return;
    case "node":
      insertNode(state, document.value);
      return;
    case "partition":
      insertPartition(state, document.value);
      return;
    case "header":
      throw new InvariantError(`a second header in the snapshot at ${state.revision}`);
  }
}
