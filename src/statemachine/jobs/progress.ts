import type { Job, JobPhase, WorkItem, WorkState } from "../objects.ts";
import type { JobRecord, State, WorkCounts } from "../state.ts";
import type { WorkRecord } from "../work/record.ts";

const whole = 10_000;

/** Books one item's change on its job. `previous` null: the item joins, and until then counted like a removed one. */
export function trackJobItem(state: State, record: WorkRecord, item: WorkItem, previous: WorkItem | null): void {
  if (item.spec.jobId === null) return;
  const job = state.jobs.get(item.spec.jobId);
  if (job === undefined) return;
  if (previous === null) job.items.add(record);
  else {
    job.counts[previous.state] -= 1;
    job.counts[item.state] += 1;
  }
  job.percentSum += share(item) - (previous === null ? whole : share(previous));
  state.touchedJobs.add(job);
}

/** Derives the jobs again whose items changed in this entry, and announces those that came out different. */
export function refreshJobs(state: State): void {
  if (state.touchedJobs.size === 0) return;
  for (const record of state.touchedJobs) refresh(state, record);
  state.touchedJobs.clear();
}

/** A job's item as it counts for its percent: a finished one is done, however it ended. */
function share(item: WorkItem): number {
  if (item.finishedAtMs !== null) return whole;
  return item.progress === null ? 0 : Math.round(item.progress.percent * 100);
}

/** What removed items, all of them finished, add to the sum. */
export const removedShare = (items: number): number => items * whole;

function refresh(state: State, record: JobRecord): void {
  const { job } = record;
  if (record.items.size === 0) {
    state.jobs.delete(job.jobId);
    state.digest.remove({ kind: "job", value: job });
    state.emit("job", job.jobId, null);
    return;
  }
  const phase = phaseOf(record.counts, job.cancelRequested);
  const percent = Math.round(record.percentSum / record.total) / 100;
  const isNew = job.version === 0;
  if (!isNew && phase === job.phase && percent === job.percent && sameCounts(record.counts, job.counts)) return;
  replaceJob(state, record, {
    ...job,
    phase,
    percent,
    counts: { ...record.counts },
    finishedAtMs: finishedAt(state, job, phase),
  });
}

function replaceJob(state: State, record: JobRecord, next: Job): void {
  const { job } = record;
  if (job.version > 0) state.digest.remove({ kind: "job", value: job });
  record.job = { ...next, modRevision: state.revision, version: job.version + 1 };
  state.digest.add({ kind: "job", value: record.job });
  state.emit("job", job.jobId, { kind: "job", value: record.job });
}

function phaseOf(counts: WorkCounts, cancelRequested: boolean): JobPhase {
  const active = counts.CLAIMED + counts.RUNNING;
  const failed = counts.FAILED + counts.DEAD;
  const finished = counts.SUCCEEDED + failed + counts.CANCELLED;
  if (counts.PENDING + active === 0) {
    if (failed > 0) return "FAILED";
    return counts.CANCELLED > 0 ? "CANCELLED" : "SUCCEEDED";
  }
  if (cancelRequested) return "CANCELLING";
  return active + finished > 0 ? "RUNNING" : "PENDING";
}

function finishedAt(state: State, job: Job, phase: JobPhase): Job["finishedAtMs"] {
  if (phase === "PENDING" || phase === "RUNNING" || phase === "CANCELLING") return null;
  return job.finishedAtMs ?? state.now;
}

function sameCounts(a: Readonly<Record<WorkState, number>>, b: Readonly<Record<WorkState, number>>): boolean {
  return (
    a.PENDING === b.PENDING &&
    a.CLAIMED === b.CLAIMED &&
    a.RUNNING === b.RUNNING &&
    a.SUCCEEDED === b.SUCCEEDED &&
    a.FAILED === b.FAILED &&
    a.DEAD === b.DEAD &&
    a.CANCELLED === b.CANCELLED
  );
}
