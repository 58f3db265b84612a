import { workStates } from "#codec";
import {
  itemOf,
  jobAnswerOf,
  jobListOf,
  lockAnswerOf,
  lockListOf,
  modelAnswerOf,
  modelListOf,
  versionListOf,
  versionOf,
  workListOf,
} from "./answers.ts";
import { type Requester, asksLeader, freshness } from "./requester.ts";
import type { JobApi, LockApi, ModelApi, WorkApi } from "./types.ts";

export function workReads(requester: Requester): Pick<WorkApi, "get" | "list"> {
  return {
    get: (workId, options) =>
      requester.read(
        { oneofKind: "getWork", getWork: { workId, read: freshness(options) } },
        itemOf,
        options,
        asksLeader(options),
      ),
    list: (filter = {}, options) =>
      requester.read(
        {
          oneofKind: "listWork",
          listWork: {
            queue: filter.queue ?? "",
            state: filter.state === undefined ? 0 : workStates.code(filter.state),
            jobId: filter.jobId ?? "",
            limit: filter.limit ?? 0,
            pageToken: filter.pageToken ?? "",
            read: freshness(options),
          },
        },
        workListOf,
        options,
        asksLeader(options),
      ),
  };
}

export function jobReads(requester: Requester): Pick<JobApi, "get" | "list"> {
  return {
    get: (jobId, options) =>
      requester.read(
        { oneofKind: "getJob", getJob: { jobId, read: freshness(options) } },
        jobAnswerOf,
        options,
        asksLeader(options),
      ),
    list: (filter = {}, options) =>
      requester.read(
        {
          oneofKind: "listJobs",
          listJobs: { limit: filter.limit ?? 0, pageToken: filter.pageToken ?? "", read: freshness(options) },
        },
        jobListOf,
        options,
        asksLeader(options),
      ),
  };
}

export function modelReads(requester: Requester): ModelApi {
  return {
    get: (model, options) =>
      requester.read(
        { oneofKind: "getModel", getModel: { model, read: freshness(options) } },
        modelAnswerOf,
        options,
        asksLeader(options),
      ),
    list: (options) =>
      requester.read(
        { oneofKind: "listModels", listModels: { read: freshness(options) } },
        modelListOf,
        options,
        asksLeader(options),
      ),
    version: (model, which, options) =>
      requester.read(
        {
          oneofKind: "getVersion",
          getVersion: {
            model,
            number: "number" in which ? which.number : 0,
            alias: "alias" in which ? which.alias : "",
            read: freshness(options),
          },
        },
        versionOf,
        options,
        asksLeader(options),
      ),
    versions: (model, options) =>
      requester.read(
        { oneofKind: "listVersions", listVersions: { model, read: freshness(options) } },
        versionListOf,
        options,
        asksLeader(options),
      ),
  };
}

export function lockApi(requester: Requester): LockApi {
  return {
    get: (name, options) =>
      requester.read(
        { oneofKind: "getLock", getLock: { name, read: freshness(options) } },
        lockAnswerOf,
        options,
        asksLeader(options),
      ),
    list: (options) =>
      requester.read(
        { oneofKind: "listLocks", listLocks: { read: freshness(options) } },
        lockListOf,
        options,
        asksLeader(options),
      ),
    check: (name, fencingToken, options) =>
      requester.read({ oneofKind: "checkLock", checkLock: { name, fencingToken } }, lockAnswerOf, options),
    forceRelease: (name, reason, options) =>
      requester.write({ kind: "forceReleaseLock", name, reason, by: "" }, lockAnswerOf, options),
  };
}
