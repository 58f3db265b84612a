import type { JobId, SessionId } from "#kernel";
import type { Reader } from "./machine-types.ts";
import type { ObjectKind, WorkItem, WorkState } from "./objects.ts";
import type { ObjectValue } from "./reply.ts";
import { listNodes } from "./nodes/records.ts";
import { liveSession, type State } from "./state.ts";
import { versionKey } from "./models/registry.ts";
import { isClaimable } from "./work/claim.ts";
import { comparePlaces, placeOfWork, type WorkRecord } from "./work/record.ts";

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
    listNodes: () => listNodes(state),
    partition: () => state.partition,
    featureLevel: () => state.featureLevel,
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

/** Ids carry the entry and the place within it, so a page goes on behind an item that was removed meanwhile. */
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
  const past = filter.after === undefined ? null : placeOfWork(filter.after);
  if (filter.after !== undefined && past === null) return [];
  const records: Iterable<WorkRecord> =
    filter.jobId === undefined ? state.work.after(past) : (state.jobs.get(filter.jobId)?.items ?? []);
  const found: WorkItem[] = [];
  for (const record of records) {
    if (found.length >= filter.limit) break;
    const { version } = record;
    if (filter.queue !== undefined && version.queue !== filter.queue) continue;
    if (filter.state !== undefined && version.state !== filter.state) continue;
    if (past !== null && comparePlaces(version, past) <= 0) continue;
    found.push(version.item);
  }
  return found;
}

function listJobs(state: State, limit: number, after: string | undefined) {
  const past = after === undefined ? 0 : Number(/^j-(\d+)$/.exec(after)?.[1] ?? Number.POSITIVE_INFINITY);
  const found = [];
  for (const { job } of state.jobs.values()) {
    if (found.length >= limit) break;
    if (job.createRevision > past) found.push(job);
  }
  return found;
}

function objects(state: State, kinds: readonly ObjectKind[], prefix: string): Iterable<KeyedObject> {
  const wanted = (kind: ObjectKind) => kinds.length === 0 || kinds.includes(kind);
  const others = [...smallObjects(state, wanted)].filter(({ key }) => key.startsWith(prefix));
  const work = wanted("work") ? state.work.freeze() : [];
  return (function* all(): Generator<KeyedObject> {
    yield* others;
    for (const version of work) {
      if (version.workId.startsWith(prefix)) yield { kind: "work", key: version.workId, value: version.item };
    }
  })();
}

type KeyedObject = ObjectValue & { readonly key: string };

/** All but the work items, of which there may be too many to gather in one go. */
function* smallObjects(state: State, wanted: (kind: ObjectKind) => boolean): Generator<KeyedObject> {
  if (wanted("session"))
    for (const { session } of state.sessions.values()) yield { kind: "session", key: session.sessionId, value: session };
  if (wanted("job")) for (const { job } of state.jobs.values()) yield { kind: "job", key: job.jobId, value: job };
  for (const { model, versions } of state.models.values()) {
    if (wanted("model")) yield { kind: "model", key: model.name, value: model };
    if (!wanted("model_version")) continue;
    for (const version of versions) yield { kind: "model_version", key: versionKey(version), value: version };
  }
  if (wanted("node")) for (const value of state.nodes.values()) yield { kind: "node", key: value.nodeId, value };
  if (wanted("partition") && state.partition !== null) yield { kind: "partition", key: "partition", value: state.partition };
  if (wanted("lock")) for (const { lock } of state.locks.values()) yield { kind: "lock", key: lock.name, value: lock };
}
