import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { nextStep, type StageJob, type Step } from "../../examples/hex-selfplay/pipeline/next-step.ts";

const job = (generation: number, stage: StageJob["stage"], phase: StageJob["phase"], succeededItems = 0): StageJob => ({
  jobId: `${stage}-${generation}`,
  generation,
  stage,
  phase,
  succeededItems,
});

const done = (generation: number): StageJob[] => [
  job(generation, "selfplay", "SUCCEEDED", 8),
  job(generation, "train", "SUCCEEDED", 1),
  job(generation, "evaluate", "SUCCEEDED", 1),
];

const table: readonly [name: string, jobs: readonly StageJob[], step: Step][] = [
  ["begins with generation 0", [], { kind: "submitSelfplay", generation: 0 }],
  [
    "waits for self-play that runs",
    [job(0, "selfplay", "RUNNING", 3)],
    { kind: "wait", jobId: "selfplay-0", generation: 0, stage: "selfplay" },
  ],
  [
    "waits for a job that is being cancelled",
    [job(0, "selfplay", "CANCELLING")],
    { kind: "wait", jobId: "selfplay-0", generation: 0, stage: "selfplay" },
  ],
  ["trains when self-play is done", [job(0, "selfplay", "SUCCEEDED", 8)], { kind: "submitTraining", generation: 0 }],
  [
    "trains on what there is when some items failed",
    [job(0, "selfplay", "FAILED", 1)],
    { kind: "submitTraining", generation: 0 },
  ],
  ["plays anew when every item failed", [job(0, "selfplay", "FAILED", 0)], { kind: "submitSelfplay", generation: 1 }],
  [
    "waits for training",
    [job(0, "selfplay", "SUCCEEDED", 8), job(0, "train", "PENDING")],
    { kind: "wait", jobId: "train-0", generation: 0, stage: "train" },
  ],
  [
    "evaluates what was trained",
    [job(0, "train", "SUCCEEDED", 1), job(0, "selfplay", "SUCCEEDED", 8)],
    { kind: "submitEvaluation", generation: 0, trainingJobId: "train-0" },
  ],
  [
    "goes to the next generation when training failed for good",
    [job(0, "selfplay", "SUCCEEDED", 8), job(0, "train", "FAILED")],
    { kind: "submitSelfplay", generation: 1 },
  ],
  ["goes to the next generation after an evaluation", done(4), { kind: "submitSelfplay", generation: 5 }],
  [
    "goes to the next generation after a failed evaluation",
    [...done(4).slice(0, 2), job(4, "evaluate", "FAILED")],
    { kind: "submitSelfplay", generation: 5 },
  ],
  [
    "looks at the newest generation only, in whatever order jobs are listed",
    [job(10, "selfplay", "RUNNING"), ...done(9), ...done(2)],
    { kind: "wait", jobId: "selfplay-10", generation: 10, stage: "selfplay" },
  ],
];

describe("the coordinator's next step follows from the cluster's jobs alone", () => {
  for (const [name, jobs, step] of table) it(name, () => assert.deepEqual(nextStep(jobs), step));
});
