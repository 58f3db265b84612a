/** What the coordinator may do: it follows from the pipeline's jobs alone, so that any successor decides the same. */
export type Stage = "selfplay" | "train" | "evaluate";

export interface StageJob {
  readonly jobId: string;
  readonly generation: number;
  readonly stage: Stage;
  readonly phase: "PENDING" | "RUNNING" | "SUCCEEDED" | "FAILED" | "CANCELLING" | "CANCELLED";
  readonly succeededItems: number;
}

export type Step =
  | { readonly kind: "wait"; readonly jobId: string; readonly generation: number; readonly stage: Stage }
  | { readonly kind: "submitSelfplay"; readonly generation: number }
  | { readonly kind: "submitTraining"; readonly generation: number }
  /** The candidate is named in the result of the training job's item. */
  | { readonly kind: "submitEvaluation"; readonly generation: number; readonly trainingJobId: string };

/**
 * selfplay → train → evaluate → selfplay of the next generation. Self-play needs no more than one finished item to go on;
 * a stage that failed for good ends its generation.
 */
export function nextStep(jobs: Iterable<StageJob>): Step {
  const newest = newestOf(jobs);
  if (newest === null) return { kind: "submitSelfplay", generation: 0 };
  const { jobId, generation, stage } = newest;
  if (newest.phase === "PENDING" || newest.phase === "RUNNING" || newest.phase === "CANCELLING")
    return { kind: "wait", jobId, generation, stage };
  if (stage === "selfplay" && newest.succeededItems > 0) return { kind: "submitTraining", generation };
  if (stage === "train" && newest.phase === "SUCCEEDED") return { kind: "submitEvaluation", generation, trainingJobId: jobId };
  return { kind: "submitSelfplay", generation: generation + 1 };
}

const ORDER: Readonly<Record<Stage, number>> = { selfplay: 0, train: 1, evaluate: 2 };

function newestOf(jobs: Iterable<StageJob>): StageJob | null {
  let newest: StageJob | null = null;
  for (const job of jobs) {
    const later =
      newest === null ||
      job.generation > newest.generation ||
      (job.generation === newest.generation && ORDER[job.stage] > ORDER[newest.stage]);
    if (later) newest = job;
  }
  return newest;
}
