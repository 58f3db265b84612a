import { setTimeout as sleep } from "node:timers/promises";
import type { Client, ClientSession, Job, JobId, NewWork } from "../client.ts";
import { deriveSeed } from "../random.ts";
import type { Child } from "./child.ts";
import { nextStep, type Stage, type StageJob, type Step } from "./next-step.ts";
import { orNull, type TrainingResult } from "./training-job.ts";
import {
  CANONICAL,
  KINDS,
  MODEL,
  PIPELINE_LOCK,
  QUEUE,
  type EvaluationPayload,
  type SelfplayPayload,
  type TrainingPayload,
} from "./work-kinds.ts";

export interface CoordinatorPayload {
  /** Self-play items of one generation. */
  readonly selfplayItems: number;
  readonly gamesPerItem: number;
  readonly seed: number;
}

export const DEFAULT_COORDINATION: CoordinatorPayload = { selfplayItems: 8, gamesPerItem: 600, seed: 1 };

/**
 * Keeps the pipeline going until its session or its process ends; a successor goes on from the jobs it finds. Jobs
 * are submitted through the session that holds PIPELINE_LOCK: when the lock is lost the session is too, and a coordinator
 * that was only asleep is refused instead of planning a generation a second time.
 */
export async function runCoordinator(child: Child<CoordinatorPayload>): Promise<never> {
  const client = child.client();
  const session = await client.openSession({ nodeId: child.nodeId, purpose: "hex coordinator" });
  child.progress(0, "lock", `waiting for ${PIPELINE_LOCK}`);
  await session.locks.acquire(PIPELINE_LOCK, { wait: true, timeoutMs: 300_000, purpose: child.workId });
  let stage = "starting";
  const heartbeat = setInterval(() => child.progress(0, "coordinate", stage), HEARTBEAT_MS);
  try {
    const jobs = new Map<string, StageJob>();
    let submitted: string | null = null;
    for await (const batch of client.watch({ kinds: ["job"], snapshot: true, signal: session.lost })) {
      for (const value of batch.snapshot ?? []) if (value.kind === "job") note(jobs, value.value);
      for (const { object } of batch.events) if (object?.kind === "job") note(jobs, object.value);
      // Nothing is decided on half a snapshot, nor before the job just submitted has shown up.
      if ((batch.snapshot !== null && !batch.snapshotEnd) || (submitted !== null && !jobs.has(submitted))) continue;
      const step = nextStep(jobs.values());
      stage = `generation ${step.generation}: ${step.kind === "wait" ? step.stage : step.kind}`;
      if (step.kind === "wait") continue;
      child.progress(0, "coordinate", stage);
      submitted = await submit(client, session, step, child.payload);
    }
  } finally {
    clearInterval(heartbeat);
    await session.close().catch(() => undefined);
  }
  throw new Error("the coordinator's watch ended");
}

const HEARTBEAT_MS = 10_000;
/** After so many generations the learning slows down, and so does the pipeline, to leave the machine to others. */
const BRISK_GENERATIONS = 20;
const REST_MS = 30_000;

const PIPELINE_LABEL = "pipeline";

function note(jobs: Map<string, StageJob>, job: Job): void {
  const { generation, stage } = job.labels;
  if (job.labels[PIPELINE_LABEL] !== MODEL || generation === undefined || stage === undefined) return;
  jobs.set(job.jobId, {
    jobId: job.jobId,
    generation: Number(generation),
    stage: stage as Stage,
    phase: job.phase,
    succeededItems: job.counts.SUCCEEDED,
  });
}

/** Returns the job's id. */
async function submit(
  client: Client,
  session: ClientSession,
  step: Exclude<Step, { kind: "wait" }>,
  options: CoordinatorPayload,
): Promise<string> {
  const { generation } = step;
  const seed = deriveSeed(options.seed, generation);
  if (step.kind === "submitTraining") {
    const payload = { generation, seed } satisfies TrainingPayload;
    return submitJob(session, "train", generation, [item("train", `${generation}`, payload)]);
  }
  if (step.kind === "submitEvaluation") {
    const candidate = await candidateOf(client, step.trainingJobId as JobId);
    const payload = { generation, seed: deriveSeed(seed, 1_000), candidate } satisfies EvaluationPayload;
    return submitJob(session, "evaluate", generation, [item("evaluate", `${generation}`, payload)]);
  }
  if (generation > BRISK_GENERATIONS) await sleep(REST_MS);
  const modelVersion = await canonicalNumber(client);
  const items = Array.from({ length: options.selfplayItems }, (_, i) => {
    // Random games teach little beyond the first few hundred.
    const games = modelVersion === 0 ? Math.ceil(options.gamesPerItem / 12) : options.gamesPerItem;
    const payload = { generation, seed: deriveSeed(seed, i), games, modelVersion } satisfies SelfplayPayload;
    return item("selfplay", `${generation}/${i}`, payload);
  });
  return submitJob(session, "selfplay", generation, items);
}

/** Lost workers are nobody's fault here and cost no attempt: only a thousand losses bury an item. */
function item(stage: Stage, name: string, payload: object): NewWork {
  return {
    kind: KINDS[stage],
    queue: QUEUE,
    payload: JSON.stringify(payload),
    uniqueKey: `${stage}/${name}`,
    startToCloseTimeoutMs: 600_000,
    maxLosses: 1_000,
  };
}

async function submitJob(session: ClientSession, stage: Stage, generation: number, items: readonly NewWork[]): Promise<string> {
  const labels = { [PIPELINE_LABEL]: MODEL, stage, generation: String(generation) };
  const { job } = await session.jobs.submit({ kind: KINDS[stage], items, labels, createdBy: KINDS.coordinate });
  return job.jobId;
}

async function canonicalNumber(client: Client): Promise<number> {
  const model = await orNull(client.models.get(MODEL));
  return model?.aliases[CANONICAL]?.version ?? 0;
}

async function candidateOf(client: Client, trainingJobId: JobId): Promise<number> {
  const { items } = await client.work.list({ jobId: trainingJobId });
  const result = items.find((work) => work.state === "SUCCEEDED")?.result;
  if (result === undefined) throw new Error(`job ${trainingJobId} succeeded without a succeeded item`);
  return (JSON.parse(result) as TrainingResult).version;
}
