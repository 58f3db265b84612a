import type { JobId, SessionId } from "#kernel";
import type { Reader } from "./machine-types.ts";
import type { ObjectKind, WorkItem, WorkState } from "./objects.ts";
import type { ObjectValue } from "./reply.ts";
import { liveSession, type State, type WorkRecord } from "./state.ts";
import { versionKey } from "./models/registry.ts";
import { isClaimable } from "./work/claim.ts";

/** Reads of the applied state as it stands at the moment of each call. Lists come oldest first. */
export function readerOf(state: State): Reader {
  return {
    work: (id) => state.work.get(id)?.item ?? null,
    listWork: (filter) => listWork(state, filter),
    claimable: (id, queues, wallMs) => {
      const session = liveSession(state, id);
      return session !== null && isClaimable(state, session, queues, wallMs);
    },
    decided: (id, sequence) => liveSession(state, id)?.replies.get(sequence) ?? null,
    queueCounts: () => new Map([...state.queues.values()].map((queue) => [queue.name, { ...queue.counts }])),
    job: (id) => state.jobs.get(id)?.job ?? null,
    listJobs: ({ limit, after }) => listJobs(state, limit, after),
    model: (name) => state.models.get(name)?.model ?? null,
    listModels: () => [...state.models.values()].map((record) => record.model),
    modelVersion: (model, number) => state.models.get(model)?.versions[number - 1] ?? null,
    listVersions: (model) => [...(state.models.get(model)?.versions ?? [])],
    lock: (name) => state.locks.get(name)?.lock ?? null,
    listLocks: () => [...state.locks.values()].map((record) => record.lock),
    session: (id: SessionId) => state.sessions.get(id)?.session ?? null,
    listSessions: () => [...state.sessions.values()].map((record) => record.session),
    counts: () => ({
      sessions: state.sessions.size,
      locksHeld: state.locksHeld,
      work: { ...state.workCounts },
      models: state.models.size,
      jobs: state.jobs.size,
    }),
    objects: (kinds, prefix) => objects(state, kinds, prefix),
  };
}

function listWork(
  state: State,
  filter: {
    readonly queue?: string;
    readonly state?: WorkState;
    readonly jobId?: JobId;
    readonly limit: number;
    readonly after?: string;
  },
): readonly WorkItem[] {
  const records: Iterable<WorkRecord> =
    filter.jobId === undefined ? state.work.values() : (state.jobs.get(filter.jobId)?.items ?? []);
  const past = filter.after === undefined ? undefined : placeOf(filter.after);
  if (past === null) return [];
  const found: WorkItem[] = [];
  for (const record of records) {
    if (found.length >= filter.limit) break;
    const { item } = record;
    if (filter.queue !== undefined && item.spec.queue !== filter.queue) continue;
    if (filter.state !== undefined && item.state !== filter.state) continue;
    if (past !== undefined && !isPast(record, past)) continue;
    found.push(item);
  }
  return found;
}

function listJobs(state: State, limit: number, after: string | undefined) {
  const past = after === undefined ? undefined : placeOf(after);
  if (past === null) return [];
  const found = [];
  for (const { job } of state.jobs.values()) {
    if (found.length >= limit) break;
    if (past === undefined || job.createRevision > past.revision) found.push(job);
  }
  return found;
}

/** Ids carry the entry and the place within it, so a page goes on behind an item that was removed meanwhile. Null: not an id. */
function placeOf(id: string): { readonly revision: number; readonly ordinal: number } | null {
  const parts = /^[wj]-(\d+)(?:-(\d+))?$/.exec(id);
  return parts === null ? null : { revision: Number(parts[1]), ordinal: Number(parts[2] ?? 0) };
}

function isPast(record: WorkRecord, place: { readonly revision: number; readonly ordinal: number }): boolean {
  const { createRevision } = record.item;
  return createRevision > place.revision || (createRevision === place.revision && record.ordinal > place.ordinal);
}

function* objects(state: State, kinds: readonly ObjectKind[], prefix: string): Generator<ObjectValue & { readonly key: string }> {
  for (const object of allObjects(state, (kind) => kinds.length === 0 || kinds.includes(kind))) {
    if (object.key.startsWith(prefix)) yield object;
  }
}

function* allObjects(state: State, wanted: (kind: ObjectKind) => boolean): Generator<ObjectValue & { readonly key: string }> {
  if (wanted("session"))
    for (const { session } of state.sessions.values()) yield { kind: "session", key: session.sessionId, value: session };
  if (wanted("job")) for (const { job } of state.jobs.values()) yield { kind: "job", key: job.jobId, value: job };
  if (wanted("work")) for (const { item } of state.work.values()) yield { kind: "work", key: item.workId, value: item };
  for (const { model, versions } of state.models.values()) {
    if (wanted("model")) yield { kind: "model", key: model.name, value: model };
    if (!wanted("model_version")) continue;
    for (const version of versions) yield { kind: "model_version", key: versionKey(version), value: version };
  }
  if (wanted("lock")) for (const { lock } of state.locks.values()) yield { kind: "lock", key: lock.name, value: lock };
}
