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
