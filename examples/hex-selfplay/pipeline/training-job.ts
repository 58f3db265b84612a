import { join } from "node:path";
import { setImmediate } from "node:timers/promises";
import { pathToFileURL } from "node:url";
import { ClientError, type Client, type HeldLock, type Model, type ModelVersion, type SessionModels } from "../client.ts";
import { FORMAT, modelBytes, readModel, sha256Of, writeModel } from "../model/model-file.ts";
import { freshWeights } from "../model/network.ts";
import { train, type TrainingMetrics } from "../model/trainer.ts";
import { newestGamesOf, pruneSelfplay } from "../store/games.ts";
import { DoNotRetry, type Child } from "./child.ts";
import { BOARD } from "../game/board.ts";
import { CANONICAL, MODEL, TRAINING_LOCK, type TrainingPayload } from "./work-kinds.ts";

export interface TrainingResult {
  readonly version: number;
  readonly sha256: string;
}

const NEWEST_GAMES = 9_600;
const MOST_UPDATES = 300_000;
const LEARNING_RATE = 0.05;
const SELFPLAY_FILES_KEPT = 400;

/**
 * Fits the canonical model's successor under the training lock. The lock guards every write, and a version names the
 * work item that made it, so that however often the item is attempted there is one READY version of it.
 */
export async function runTraining(child: Child<TrainingPayload>): Promise<TrainingResult> {
  const client = child.client();
  const session = await client.openSession({ nodeId: child.nodeId, purpose: "hex training" });
  try {
    child.progress(0, "lock", `waiting for ${TRAINING_LOCK}`);
    const lock = await session.locks.acquire(TRAINING_LOCK, { wait: true, timeoutMs: 300_000, purpose: child.workId });
    const result = (await finishedBefore(client, child)) ?? (await makeVersion(child, client, session.models, lock));
    await lock.release();
    return result;
  } finally {
    await session.close();
  }
}

/**
 * An attempt that died after its commit left a READY version: that is the result. One that died before left an UPLOADING
 * version, ABORTED together with its session before the lock was granted again: a new one is registered.
 */
async function finishedBefore(client: Client, child: Child<TrainingPayload>): Promise<TrainingResult | null> {
  const versions = await orNull(client.models.versions(MODEL));
  const ready = versions?.find((version) => version.workId === child.workId && version.state === "READY");
  return ready === undefined ? null : { version: ready.number, sha256: ready.sha256 };
}

async function makeVersion(
  child: Child<TrainingPayload>,
  client: Client,
  models: SessionModels,
  lock: HeldLock,
): Promise<TrainingResult> {
  const model = await orNull(client.models.get(MODEL));
  const parent = await canonicalVersion(client, model);
  const { bytes, metrics } = await fit(child, parent);
  const sha256 = sha256Of(bytes);
  const path = modelPath(child.dataDirectory, (model?.lastVersion ?? 0) + 1, sha256);
  const guards = [lock.guard];
  const registered = await models.registerVersion({
    model: MODEL,
    configKey: BOARD,
    sourceUri: pathToFileURL(path).href,
    format: FORMAT,
    workId: child.workId,
    fencingToken: child.fencingToken,
    parentVersion: parent?.number ?? 0,
    tags: { generation: String(child.payload.generation) },
    guards,
  });
  writeModel(path, bytes);
  await models.commitVersion({
    model: MODEL,
    number: registered.number,
    sha256,
    sizeBytes: bytes.length,
    metrics: {
      positions: metrics.positions,
      updates: metrics.updates,
      policy_entropy: metrics.entropy,
      value_loss: metrics.valueLoss,
    },
    guards,
  });
  pruneSelfplay(child.dataDirectory, SELFPLAY_FILES_KEPT, Date.now());
  return { version: registered.number, sha256 };
}

/** In slices: the session that holds the lock is renewed by this thread. */
async function fit(
  child: Child<TrainingPayload>,
  parent: ModelVersion | null,
): Promise<{ bytes: Buffer; metrics: TrainingMetrics }> {
  const games = newestGamesOf(child.dataDirectory, parent?.number ?? 0, NEWEST_GAMES);
  if (games.length === 0) throw new DoNotRetry(`no self-play games of version ${parent?.number ?? 0} in ${child.dataDirectory}`);
  const weights = parent === null ? freshWeights(child.payload.seed) : readModel(parent);
  const moves = games.reduce((sum, game) => sum + game.moves.length, 0);
  const updates = Math.min(moves, MOST_UPDATES);
  const training = train(weights, games, { seed: child.payload.seed, updates, learningRate: LEARNING_RATE });
  for (let slice = 0; ; slice++) {
    const { done, value } = training.next();
    if (done === true) return { bytes: modelBytes(weights), metrics: value };
    if (slice % 10 === 0) child.progress(5 + 90 * value, "fit", `${games.length} games`);
    await setImmediate();
  }
}

/** Only the lock's holder registers versions, so the next number is known; readers follow `sourceUri` in any case. */
function modelPath(dataDirectory: string, number: number, sha256: string): string {
  return join(dataDirectory, "models", MODEL, `v${number}-${sha256.slice(0, 8)}.json`);
}

async function canonicalVersion(client: Client, model: Model | null): Promise<ModelVersion | null> {
  const alias = model?.aliases[CANONICAL];
  return alias === undefined ? null : client.models.version(MODEL, { number: alias.version });
}

/** Null for what does not exist. */
export async function orNull<T>(reading: Promise<T>): Promise<T | null> {
  try {
    return await reading;
  } catch (error) {
    if (error instanceof ClientError && error.refusal.reason === "NOT_FOUND") return null;
    throw error;
  }
}
