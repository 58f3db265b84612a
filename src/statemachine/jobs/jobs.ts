import { accepted, JobId, type Outcome, refused, WorkId } from "#kernel";
import { checkCount, checkText, checkTextMap, firstOf, refuse } from "../check.ts";
import type { Operation } from "../command.ts";
import { fixedLimits } from "../limits.ts";
import type { Job, WorkSpec } from "../objects.ts";
import type { Reply } from "../reply.ts";
import { type JobRecord, noWork, type State } from "../state.ts";
import { addWork, checkRoom } from "../work/enqueue.ts";
import { isTerminal } from "../work/items.ts";
import { requestCancel } from "../work/lifecycle.ts";
import { checkSpec } from "../work/spec.ts";
import { refreshJobs, removedShare } from "./progress.ts";

type Of<K extends Operation["kind"]> = Extract<Operation, { readonly kind: K }>;

/** The job and all its items in one entry, or none of it. */
export function submitJob(state: State, submit: Of<"submitJob">): Outcome<Reply> {
  const problem = firstOf(
    checkText("kind", submit.jobKind, fixedLimits.nameBytes),
    checkText("created_by", submit.createdBy, fixedLimits.nameBytes),
    checkTextMap("labels", submit.labels),
    checkCount("items", submit.items.length, 1, state.limits.maxItemsPerJob),
  );
  if (problem !== null) return refused(problem);
  const unfit = checkItems(state, submit.items) ?? checkRoom(state, submit.items.length);
  if (unfit !== null) return unfit;
  const jobId = JobId(`j-${state.revision}`);
  const job: Job = {
    jobId,
    kind: submit.jobKind,
    labels: submit.labels,
    phase: "PENDING",
    counts: noWork(),
    percent: 0,
    createdAtMs: state.now,
    createdWallMs: state.wall,
    finishedAtMs: null,
    cancelRequested: false,
    createdBy: submit.createdBy,
    createRevision: state.revision,
    modRevision: state.revision,
    version: 0,
  };
  const record: JobRecord = {
    job,
    items: new Set(),
    counts: { ...noWork(), PENDING: submit.items.length },
    total: submit.items.length,
    percentSum: removedShare(submit.items.length),
  };
  state.jobs.set(jobId, record);
  const items = submit.items.map((spec, ordinal) => {
    return addWork(state, WorkId(`w-${state.revision}-${ordinal}`), { ...spec, jobId }, ordinal).workId;
  });
  refreshJobs(state);
  return accepted({ kind: "job", job: record.job, items });
}

/** Cancels every item that is not finished. Repeated: no change. */
export function cancelJob(state: State, cancel: Of<"cancelJob">): Outcome<Reply> {
  const problem = firstOf(
    checkText("reason", cancel.reason, fixedLimits.textBytes),
    checkText("by", cancel.by, fixedLimits.nameBytes),
  );
  if (problem !== null) return refused(problem);
  const record = state.jobs.get(cancel.jobId);
  if (record === undefined) return refuse("NOT_FOUND", `no job ${cancel.jobId}`, "job_id");
  if (!record.job.cancelRequested) {
    if (record.job.finishedAtMs !== null) return refuse("BAD_STATE", `${cancel.jobId} is ${record.job.phase} already`);
    record.job = { ...record.job, cancelRequested: true };
    state.touchedJobs.add(record);
    for (const item of record.items) {
      if (!isTerminal(item.version.state)) requestCancel(state, item, cancel.by, cancel.reason);
    }
    refreshJobs(state);
  }
  return accepted({ kind: "job", job: record.job, items: [...record.items].map(({ workId }) => workId) });
}

/** Adds a job from a snapshot; its items follow, and until then all of them count as removed. */
export function insertJob(state: State, job: Job): void {
  const counts = { ...job.counts };
  let total = 0;
  for (const n of Object.values(counts)) total += n;
  state.jobs.set(job.jobId, { job, items: new Set(), counts, total, percentSum: removedShare(total) });
  state.digest.add({ kind: "job", value: job });
}

function checkItems(state: State, items: readonly WorkSpec[]): Outcome<never> | null {
  const keys = new Set<string>();
  for (const [i, spec] of items.entries()) {
    const problem = checkSpec(`items[${i}]`, spec, state.limits);
    if (problem !== null) return refused(problem);
    if (spec.uniqueKey === "") continue;
    const other = state.uniqueKeys.get(spec.uniqueKey);
    if (other !== undefined || keys.has(spec.uniqueKey)) {
      const holder = other === undefined ? "an earlier item of this job" : other.workId;
      return refuse("ALREADY_EXISTS", `${holder} has the unique_key of items[${i}]`, `items[${i}].unique_key`);
    }
    keys.add(spec.uniqueKey);
  }
  return null;
}
