import { JobId, type LogIndex, type Outcome, type Refusal, WorkId, accepted, assertNever, refusal, refused } from "#kernel";
import type { Freshness } from "#replica";
import type { Reader } from "#statemachine";
import {
  type ResponseBody,
  jobToProto,
  lockToProto,
  modelToProto,
  modelVersionToProto,
  nodeSummaryToProto,
  partitionToProto,
  sessionToProto,
  workItemToProto,
  workStates,
} from "#codec";
import type { ListJobsRequest } from "#gen/ringraft/v1/job.js";
import type { CheckLockRequest } from "#gen/ringraft/v1/lock.js";
import type { GetVersionRequest } from "#gen/ringraft/v1/model.js";
import type { ListNodesResponse } from "#gen/ringraft/v1/node.js";
import type { ReadOptions } from "#gen/ringraft/v1/refusal.js";
import type { Request } from "#gen/ringraft/v1/stream.js";
import { type ListWorkRequest, WorkState } from "#gen/ringraft/v1/work.js";

/** A read as the replica takes it: how fresh, and what to look up. */
export interface Read {
  readonly freshness: Freshness;
  readonly query: (reader: Reader) => Outcome<ResponseBody>;
}

export type ReadBody = Extract<
  Request["body"],
  {
    oneofKind:
      | "getWork"
      | "listWork"
      | "getJob"
      | "listJobs"
      | "getModel"
      | "listModels"
      | "getVersion"
      | "listVersions"
      | "getLock"
      | "listLocks"
      | "checkLock"
      | "listSessions"
      | "listNodes";
  }
>;

/** Refuses bad arguments before any read point is asked for. */
export function readOf(body: ReadBody): Outcome<Read> {
  switch (body.oneofKind) {
    case "getWork": {
      const { workId, read } = body.getWork;
      return lookUp(read, "work_id", workId, (reader) => {
        const item = reader.work(WorkId(workId));
        return item === null ? missing("work item", workId) : accepted(work(workItemToProto(item)));
      });
    }
    case "listWork":
      return listWork(body.listWork);
    case "getJob": {
      const { jobId, read } = body.getJob;
      return lookUp(read, "job_id", jobId, (reader) => {
        const job = reader.job(JobId(jobId));
        if (job === null) return missing("job", jobId);
        return accepted({ oneofKind: "job", job: { job: jobToProto(job), workIds: [] } });
      });
    }
    case "listJobs":
      return listJobs(body.listJobs);
    case "getModel": {
      const { model: name, read } = body.getModel;
      return lookUp(read, "model", name, (reader) => {
        const model = reader.model(name);
        if (model === null) return missing("model", name);
        return accepted({ oneofKind: "model", model: { model: modelToProto(model) } });
      });
    }
    case "listModels":
      return fresh(body.listModels.read, (reader) =>
        accepted({ oneofKind: "modelList", modelList: { models: reader.listModels().map(modelToProto) } }),
      );
    case "getVersion":
      return getVersion(body.getVersion);
    case "listVersions": {
      const { model, read } = body.listVersions;
      return lookUp(read, "model", model, (reader) =>
        accepted({ oneofKind: "versionList", versionList: { versions: reader.listVersions(model).map(modelVersionToProto) } }),
      );
    }
    case "getLock": {
      const { name, read } = body.getLock;
      return lookUp(read, "name", name, (reader) => {
        const lock = reader.lock(name);
        if (lock === null) return missing("lock", name);
        return accepted({ oneofKind: "lock", lock: { lock: lockToProto(lock), granted: false } });
      });
    }
    case "listLocks":
      return fresh(body.listLocks.read, (reader) =>
        accepted({ oneofKind: "lockList", lockList: { locks: reader.listLocks().map(lockToProto) } }),
      );
    case "checkLock":
      return checkLock(body.checkLock);
    case "listSessions":
      return fresh(body.listSessions.read, (reader) =>
        accepted({ oneofKind: "sessionList", sessionList: { sessions: reader.listSessions().map(sessionToProto) } }),
      );
    case "listNodes":
      return fresh(body.listNodes.read, (reader) => accepted({ oneofKind: "nodeList", nodeList: nodeList(reader) }));
    default:
      return assertNever(body, "read");
  }
}

export function freshnessOf(read: ReadOptions | undefined): Outcome<Freshness> {
  const mode = read?.mode ?? "";
  const revision = (read?.minRevision ?? 0) as LogIndex;
  if (mode !== "" && mode !== "linearizable" && mode !== "stale") {
    return invalid("read.mode", `must be "linearizable" or "stale", got "${mode}"`);
  }
  // A linearizable read sees every revision that anybody has been told of, so it needs no minimum.
  if (revision > 0 && mode !== "linearizable") return accepted({ mode: "min_revision", revision });
  return accepted({ mode: mode === "stale" ? "stale" : "linearizable" });
}

const DEFAULT_PAGE = 100;
const MAX_PAGE = 1_000;
/** A page ends early at about this much text, so that it fits the frame that a client accepts. */
const MAX_PAGE_TEXT = 1_048_576;

function listWork(request: ListWorkRequest): Outcome<Read> {
  const { queue, jobId, pageToken, read } = request;
  const state = workStates.value(request.state);
  if (request.state !== WorkState.WORK_STATE_UNSPECIFIED && state === null)
    return invalid("state", `has no value ${request.state}`);
  const limit = pageSize(request.limit);
  const filter = {
    ...(queue === "" ? {} : { queue }),
    ...(state === null ? {} : { state }),
    ...(jobId === "" ? {} : { jobId: JobId(jobId) }),
    ...(pageToken === "" ? {} : { after: pageToken }),
    limit: limit + 1,
  };
  return fresh(read, (reader) => {
    const { page, next } = pageOf(reader.listWork(filter), limit, (item) => item.spec.payload.length + item.result.length);
    const nextPageToken = next?.workId ?? "";
    return accepted({ oneofKind: "workList", workList: { items: page.map(workItemToProto), nextPageToken } });
  });
}

function listJobs(request: ListJobsRequest): Outcome<Read> {
  const { pageToken, read } = request;
  const limit = pageSize(request.limit);
  return fresh(read, (reader) => {
    const filter = { ...(pageToken === "" ? {} : { after: pageToken }), limit: limit + 1 };
    const { page, next } = pageOf(reader.listJobs(filter), limit, () => 0);
    return accepted({ oneofKind: "jobList", jobList: { jobs: page.map(jobToProto), nextPageToken: next?.jobId ?? "" } });
  });
}

function nodeList(reader: Reader): ListNodesResponse {
  const partition = reader.partition();
  return {
    nodes: reader.listNodes().map(nodeSummaryToProto),
    featureLevel: reader.featureLevel(),
    ...(partition === null ? {} : { partition: partitionToProto(partition) }),
  };
}

function getVersion(request: GetVersionRequest): Outcome<Read> {
  const { model: name, number, alias, read } = request;
  if ((number === 0) === (alias === "")) return invalid("number", "or alias is required, and only one of them");
  return lookUp(read, "model", name, (reader) => {
    const wanted = alias === "" ? number : reader.model(name)?.aliases[alias]?.version;
    const version = wanted === undefined ? null : reader.modelVersion(name, wanted);
    if (version === null) return missing("model version", `${name}/${alias === "" ? number : alias}`);
    return accepted({ oneofKind: "version", version: { version: modelVersionToProto(version) } });
  });
}

function checkLock(request: CheckLockRequest): Outcome<Read> {
  const { name, fencingToken } = request;
  if (fencingToken === 0) return invalid("fencing_token", "is required");
  return lookUp(undefined, "name", name, (reader) => {
    const lock = reader.lock(name);
    if (lock === null) return missing("lock", name);
    if (lock.holder?.fencingToken !== fencingToken) {
      // The present token stays untold: it is what proves a holder.
      return refused(refusal("FENCED", `token ${fencingToken} does not hold the lock ${name}`, { field: "fencing_token" }));
    }
    return accepted({ oneofKind: "lock", lock: { lock: lockToProto(lock), granted: true } });
  });
}

function lookUp(read: ReadOptions | undefined, field: string, key: string, query: Read["query"]): Outcome<Read> {
  return key === "" ? invalid(field, "is required") : fresh(read, query);
}

function fresh(read: ReadOptions | undefined, query: Read["query"]): Outcome<Read> {
  const freshness = freshnessOf(read);
  return freshness.ok ? accepted({ freshness: freshness.value, query }) : freshness;
}

function pageSize(limit: number): number {
  return limit === 0 ? DEFAULT_PAGE : Math.min(limit, MAX_PAGE);
}

/** `found` has one more than the page, when there is more. `next` is the last of the page: the next one starts after it. */
function pageOf<T>(found: readonly T[], limit: number, textOf: (item: T) => number) {
  let end = 0;
  let size = 0;
  while (end < found.length && end < limit && (end === 0 || size < MAX_PAGE_TEXT)) size += textOf(found[end++]!);
  return { page: found.slice(0, end), next: end < found.length ? found[end - 1]! : null };
}

function work(item: ReturnType<typeof workItemToProto>): ResponseBody {
  return { oneofKind: "work", work: { item, deduplicated: false } };
}

function missing(what: string, key: string): { readonly ok: false; readonly refusal: Refusal } {
  return refused(refusal("NOT_FOUND", `there is no ${what} ${key}`));
}

function invalid(field: string, complaint: string): { readonly ok: false; readonly refusal: Refusal } {
  return refused(refusal("INVALID_ARGUMENT", `${field} ${complaint}`, { field }));
}
