import type { FencingToken, WorkId } from "#kernel";
import type { Operation } from "#statemachine";
import { completeWorkSpec } from "#codec";
import { briefOf, enqueuedOf, itemOf, jobAnswerOf, modelAnswerOf, submittedOf, versionOf } from "./answers.ts";
import type { WriteExtra, Writer } from "./requester.ts";
import type { BriefWorkWrites, JobWrites, ModelWrites, WorkOutcome, WorkWrites } from "./types.ts";

/** The writes that a client and a session have in common; only the promise behind them differs. */
export function workWrites(writer: Writer): WorkWrites {
  return {
    enqueue: (work, options) => writer.write({ kind: "enqueueWork", spec: completeWorkSpec(work) }, enqueuedOf, options),
    cancel: (workId, reason, options) => writer.write({ kind: "cancelWork", workId, reason, by: "" }, itemOf, options),
    requeue: (workId, options) => writer.write({ kind: "requeueWork", workId }, itemOf, options),
  };
}

/** Their answers leave out the item: etcd's put answers with a header only, too. */
export function briefWorkWrites(writer: Writer): BriefWorkWrites {
  return {
    enqueue: (work, options) => writer.write({ kind: "enqueueWork", spec: completeWorkSpec(work) }, briefOf, options, BRIEF),
    start: (workId, fencingToken, options) => writer.write({ kind: "startWork", workId, fencingToken }, briefOf, options, BRIEF),
    progress: (workId, fencingToken, progress, options) =>
      writer.write({ kind: "progressWork", workId, fencingToken, progress }, briefOf, options, BRIEF),
    complete: (workId, fencingToken, outcome, options) =>
      writer.write(completion(workId, fencingToken, outcome), briefOf, options, BRIEF),
  };
}

const BRIEF: WriteExtra = { brief: true };

export function completion(workId: WorkId, fencingToken: FencingToken, { result, error, guards }: WorkOutcome): Operation {
  return { kind: "completeWork", workId, fencingToken, result: result ?? "", error: error ?? null, guards: guards ?? [] };
}

export function jobWrites(writer: Writer): JobWrites {
  return {
    submit: ({ kind, items, labels, createdBy }, options) =>
      writer.write(
        {
          kind: "submitJob",
          jobKind: kind,
          labels: labels ?? {},
          items: items.map((item) => completeWorkSpec(item)),
          createdBy: createdBy ?? "",
        },
        submittedOf,
        options,
      ),
    cancel: (jobId, reason, options) => writer.write({ kind: "cancelJob", jobId, reason, by: "" }, jobAnswerOf, options),
  };
}

export function modelWrites(writer: Writer): ModelWrites {
  return {
    registerVersion: (version, options) => writer.write(registerOperation(version), versionOf, options),
    commitVersion: ({ model, number, sha256, sizeBytes, metrics, guards }, options) =>
      writer.write(
        { kind: "commitVersion", model, number, sha256, sizeBytes, metrics: metrics ?? {}, guards: guards ?? [] },
        versionOf,
        options,
      ),
    setAlias: ({ model, alias, version, expectedAliasRevision, reason, by, guards }, options) =>
      writer.write(
        {
          kind: "setAlias",
          model,
          alias,
          version,
          expectedAliasRevision: expectedAliasRevision ?? null,
          reason: reason ?? "",
          by: by ?? "",
          guards: guards ?? [],
        },
        modelAnswerOf,
        options,
      ),
  };
}

function registerOperation(version: Parameters<ModelWrites["registerVersion"]>[0]): Operation {
  return {
    kind: "registerVersion",
    model: version.model,
    configKey: version.configKey ?? "",
    description: version.description ?? "",
    sourceUri: version.sourceUri,
    format: version.format ?? "",
    workId: version.workId ?? null,
    fencingToken: version.fencingToken ?? null,
    parentVersion: version.parentVersion ?? 0,
    gitCommit: version.gitCommit ?? "",
    tags: version.tags ?? {},
    guards: version.guards ?? [],
  };
}
