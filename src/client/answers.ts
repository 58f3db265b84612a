import { ClusterId, LogIndex, NodeId, WorkId } from "#kernel";
import {
  jobFromProto,
  lockFromProto,
  modelFromProto,
  modelVersionFromProto,
  sessionFromProto,
  watchBatchFromProto,
  type WorkBrief,
  workBriefFromProto,
  workItemFromProto,
} from "#codec";
import type { Job, Lock, Model, ModelVersion, Session, WorkItem } from "#statemachine";
import type { Response } from "#gen/ringraft/v1/stream.js";
import type { Member, NodeStatus, WatchBatch } from "./types.ts";

type Body = Response["body"];
type BodyKind = Exclude<Body["oneofKind"], undefined>;

export function itemOf(response: Response): WorkItem {
  return workItemFromProto(present(body(response, "work").work.item, "item"));
}

export function enqueuedOf(response: Response): { readonly item: WorkItem; readonly deduplicated: boolean } {
  const { work } = body(response, "work");
  return { item: workItemFromProto(present(work.item, "item")), deduplicated: work.deduplicated };
}

export function briefOf(response: Response): WorkBrief {
  return workBriefFromProto(body(response, "workBrief").workBrief);
}

export function claimedOf(response: Response): readonly WorkItem[] {
  return body(response, "claim").claim.items.map(workItemFromProto);
}

export function workListOf(response: Response): { readonly items: readonly WorkItem[]; readonly nextPageToken: string } {
  const { workList } = body(response, "workList");
  return { items: workList.items.map(workItemFromProto), nextPageToken: workList.nextPageToken };
}

export function jobAnswerOf(response: Response): Job {
  return jobFromProto(present(body(response, "job").job.job, "job"));
}

export function submittedOf(response: Response): { readonly job: Job; readonly workIds: readonly WorkId[] } {
  const { job } = body(response, "job");
  return { job: jobFromProto(present(job.job, "job")), workIds: job.workIds.map(WorkId) };
}

export function jobListOf(response: Response): { readonly jobs: readonly Job[]; readonly nextPageToken: string } {
  const { jobList } = body(response, "jobList");
  return { jobs: jobList.jobs.map(jobFromProto), nextPageToken: jobList.nextPageToken };
}

export function modelAnswerOf(response: Response): Model {
  return modelFromProto(present(body(response, "model").model.model, "model"));
}

export function modelListOf(response: Response): readonly Model[] {
  return body(response, "modelList").modelList.models.map(modelFromProto);
}

export function versionOf(response: Response): ModelVersion {
  return modelVersionFromProto(present(body(response, "version").version.version, "version"));
}

export function versionListOf(response: Response): readonly ModelVersion[] {
  return body(response, "versionList").versionList.versions.map(modelVersionFromProto);
}

export function lockAnswerOf(response: Response): Lock {
  return lockFromProto(present(body(response, "lock").lock.lock, "lock"));
}

export function lockListOf(response: Response): readonly Lock[] {
  return body(response, "lockList").lockList.locks.map(lockFromProto);
}

export function sessionAnswerOf(response: Response): Session {
  return sessionFromProto(present(body(response, "session").session.session, "session"));
}

export function sessionListOf(response: Response): readonly Session[] {
  return body(response, "sessionList").sessionList.sessions.map(sessionFromProto);
}

/** For answers whose content nobody needs: a closed session, a renewal. */
export function nothingOf(_response: Response): void {}

export function membersOf(response: Response): readonly Member[] {
  return body(response, "members").members.members.map(({ nodeId, clientAddress, voter, leader }) => ({
    nodeId: NodeId(nodeId),
    clientAddress,
    voter,
    leader,
  }));
}

export function statusOf(response: Response): NodeStatus {
  const { status } = body(response, "status");
  const header = present(status.header, "header");
  return {
    memberId: NodeId(header.memberId),
    clusterId: ClusterId(header.clusterId),
    leaderId: header.leaderId === "" ? null : NodeId(header.leaderId),
    role: status.role,
    term: header.term,
    commitIndex: LogIndex(status.commitIndex),
    appliedIndex: LogIndex(status.appliedIndex),
  };
}

export function watchBatchOf(response: Response): WatchBatch {
  const batch = watchBatchFromProto(body(response, "watchBatch").watchBatch);
  if (!batch.ok) throw new Error(batch.refusal.message);
  return batch.value;
}

export function body<Kind extends BodyKind>(response: Response, kind: Kind): Extract<Body, { oneofKind: Kind }> {
  if (response.body.oneofKind !== kind) throw new Error(`expected an answer of kind ${kind}, got ${response.body.oneofKind}`);
  return response.body as Extract<Body, { oneofKind: Kind }>;
}

export function present<T>(value: T | null | undefined, what: string): T {
  if (value === undefined || value === null) throw new Error(`the answer has no ${what}`);
  return value;
}
