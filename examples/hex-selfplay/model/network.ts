import { CELLS, SIZE, type Position } from "../game/board.ts";
import { frameCell, writeFrame } from "../game/symmetry.ts";
import { seededRandom } from "../random.ts";
import { DISTANCE_PAIRS, encode, FEATURES, MAX_ACTIVE, newEncoding, type Encoding } from "./features.ts";

/**
 * One hidden layer, shared by all empty cells. Policy: the softmax of one number per cell. Value: the logistic of the mean
 * hidden layer plus an entry of a table over both players' distances to connect.
 */
export const HIDDEN = 24;

/** All weights in one array, so that a file, a copy and an update are one operation each. */
export const LAYOUT = {
  input: 0,
  inputBias: FEATURES * HIDDEN,
  policy: FEATURES * HIDDEN + HIDDEN,
  value: FEATURES * HIDDEN + 2 * HIDDEN,
  distance: FEATURES * HIDDEN + 3 * HIDDEN,
  length: FEATURES * HIDDEN + 3 * HIDDEN + DISTANCE_PAIRS,
} as const;

export type Weights = Float32Array;

export function freshWeights(seed: number): Weights {
  const random = seededRandom(seed);
  const weights = new Float32Array(LAYOUT.length);
  for (let i = 0; i < LAYOUT.inputBias; i++) weights[i] = (random.next() - 0.5) * 0.2;
  for (let i = LAYOUT.inputBias; i < LAYOUT.policy; i++) weights[i] = 0.05;
  for (let i = LAYOUT.policy; i < LAYOUT.distance; i++) weights[i] = (random.next() - 0.5) * 0.4;
  return weights;
}

/** What one pass leaves behind; overwritten by the next. */
export class Network {
  readonly weights: Weights;
  readonly encoding: Encoding = newEncoding();
  /** Hidden layer of the i-th empty cell, after the ramp. */
  readonly hidden: Float32Array = new Float32Array(CELLS * HIDDEN);
  readonly pooled: Float32Array = new Float32Array(HIDDEN);
  /** Probability of the i-th empty cell of `encoding.cells`. */
  readonly probability: Float32Array = new Float32Array(CELLS);
  /** The same by cell of the board, after `evaluate`; 0 where nothing may be played. */
  readonly policy: Float32Array = new Float32Array(CELLS);
  /** Probability that the player to move wins. */
  value = 0.5;
  readonly #frame = new Int8Array(CELLS);

  constructor(weights: Weights) {
    if (weights.length !== LAYOUT.length)
      throw new RangeError(`a model of this kind has ${LAYOUT.length} weights, not ${weights.length}`);
    this.weights = weights;
  }

  /** Sets `policy` and `value`; returns the former. */
  evaluate(position: Position): Float32Array {
    writeFrame(position, this.#frame);
    this.forward(this.#frame);
    const { cells, cellCount } = this.encoding;
    this.policy.fill(0);
    for (let i = 0; i < cellCount; i++) this.policy[frameCell(cells[i]!, position.toMove)] = this.probability[i]!;
    return this.policy;
  }

  forward(frame: Int8Array): void {
    const { encoding, hidden, pooled, weights, probability } = this;
    encode(frame, encoding);
    pooled.fill(0);
    let largest = -Infinity;
    for (let i = 0; i < encoding.cellCount; i++) {
      const base = i * HIDDEN;
      for (let h = 0; h < HIDDEN; h++) hidden[base + h] = weights[LAYOUT.inputBias + h]!;
      const end = i * MAX_ACTIVE + encoding.activeCount[i]!;
      for (let a = i * MAX_ACTIVE; a < end; a++) {
        const row = encoding.active[a]! * HIDDEN;
        for (let h = 0; h < HIDDEN; h++) hidden[base + h]! += weights[row + h]!;
      }
      let logit = 0;
      for (let h = 0; h < HIDDEN; h++) {
        const ramp = Math.max(0, hidden[base + h]!);
        hidden[base + h] = ramp;
        pooled[h]! += ramp;
        logit += ramp * weights[LAYOUT.policy + h]!;
      }
      probability[i] = logit;
      if (logit > largest) largest = logit;
    }
    softmax(probability, encoding.cellCount, largest);
    let valueLogit = weights[LAYOUT.distance + distancePair(encoding)]!;
    for (let h = 0; h < HIDDEN; h++) {
      pooled[h]! /= encoding.cellCount;
      valueLogit += pooled[h]! * weights[LAYOUT.value + h]!;
    }
    this.value = 1 / (1 + Math.exp(-valueLogit));
  }
}

export function distancePair(encoding: Encoding): number {
  return encoding.ownDistance * (SIZE + 1) + encoding.opponentDistance;
}

function softmax(logits: Float32Array, count: number, largest: number): void {
  let sum = 0;
  for (let i = 0; i < count; i++) sum += logits[i] = Math.exp(logits[i]! - largest);
  for (let i = 0; i < count; i++) logits[i]! /= sum;
}
