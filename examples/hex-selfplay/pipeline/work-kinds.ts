import { BOARD } from "../game/board.ts";

/** What the work items carry as payload (JSON). Everything random in them comes from `seed`. */
export interface SelfplayPayload {
  readonly generation: number;
  readonly seed: number;
  readonly games: number;
  /** Version that plays; 0 = none yet, uniform-random. */
  readonly modelVersion: number;
}
export interface TrainingPayload {
  readonly generation: number;
  readonly seed: number;
}
export interface EvaluationPayload {
  readonly generation: number;
  readonly seed: number;
  readonly candidate: number;
}

export const MODEL = BOARD;
export const TRAINING_LOCK = `training/${BOARD}`;
/** Held by the coordinator: two at a time would plan the same generation twice. */
export const PIPELINE_LOCK = `pipeline/${BOARD}`;
export const CANONICAL = "canonical";
export const QUEUE = "default";

export const KINDS = {
  selfplay: "hex.selfplay",
  train: "hex.train",
  evaluate: "hex.evaluate",
  coordinate: "hex.coordinate",
} as const;

export type Verb = keyof typeof KINDS;

/** One entry of the worker's `handlers`; the shape is that of the configuration's. */
export interface Handler {
  readonly kind: string;
  readonly command: readonly string[];
  readonly nice: number;
  /** 0 = no limit. */
  readonly timeoutMs: number;
  readonly environment: Readonly<Record<string, string>>;
}

const MINUTE_MS = 60_000;

/** What a worker's configuration needs to run this pipeline. `mainFile` is the absolute path of main.ts. */
export function handlers(mainFile: string, dataDirectory: string): Handler[] {
  const timeouts = { selfplay: 5 * MINUTE_MS, train: 10 * MINUTE_MS, evaluate: 10 * MINUTE_MS, coordinate: 0 };
  return (Object.keys(KINDS) as Verb[]).map((verb) => ({
    kind: KINDS[verb],
    command: [process.execPath, mainFile, verb],
    nice: 10,
    timeoutMs: timeouts[verb],
    environment: { RINGRAFT_DATA: dataDirectory },
  }));
}
