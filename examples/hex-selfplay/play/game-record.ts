import type { Player } from "../game/board.ts";

/** A version of the model, or 0: the uniform-random player. */
export type ModelNumber = number;

/** One finished game, as it is stored. */
export interface GameRecord {
  /** Position of the game within its work item. */
  readonly index: number;
  readonly seed: number;
  readonly moves: Uint8Array;
  readonly winner: Player;
  /** Who played player 0 and player 1. */
  readonly models: readonly [ModelNumber, ModelNumber];
  /** Probability with which each move was drawn; 0 for a move that the player did not choose (an opening move). */
  readonly probabilities: Float32Array;
}
