import { CELLS, Position } from "../game/board.ts";
import { frameCell, rotated, writeFrame } from "../game/symmetry.ts";
import type { GameRecord } from "../play/game-record.ts";
import { seededRandom, type Random } from "../random.ts";
import { MAX_ACTIVE } from "./features.ts";
import { distancePair, HIDDEN, LAYOUT, Network, type Weights } from "./network.ts";

export interface TrainingOptions {
  readonly seed: number;
  /** Single-position updates, about 0.05 ms each. */
  readonly updates: number;
  /** Step size at the start; it falls linearly to a tenth of it. */
  readonly learningRate: number;
}

export interface TrainingMetrics {
  readonly positions: number;
  readonly updates: number;
  /** Means over the last fifth of the updates, in nats. */
  readonly entropy: number;
  readonly valueLoss: number;
}

/**
 * Stochastic gradient descent on the games' outcomes, in place: moves that did better than the value expected become more
 * probable, others less (REINFORCE with a baseline, Williams 1992). An update that would move a probability further than
 * CLIP away from the one the move was drawn with is left out (PPO, Schulman et al. 2017), which lets one set of games
 * serve several passes.
 *
 * The result is the mean of the weights over the second half (Polyak and Juditsky 1992): single games are so noisy that the
 * last weights play worse than their mean.
 *
 * Yields the share done every SLICE updates, so that a caller with a session to keep alive can let its event loop run.
 */
export function* train(
  weights: Weights,
  games: readonly GameRecord[],
  options: TrainingOptions,
): Generator<number, TrainingMetrics> {
  const examples = games.flatMap(examplesOf);
  if (examples.length === 0) throw new RangeError("there is no chosen move to learn from");
  const random = seededRandom(options.seed);
  const network = new Network(weights);
  const tail = Math.floor(options.updates * 0.8);
  const sum = new Float64Array(weights.length);
  let summed = 0;
  let entropy = 0;
  let valueLoss = 0;
  for (let update = 0; update < options.updates; update++) {
    const at = update % examples.length;
    if (at === 0) shuffle(examples, random);
    const example = random.next() < 0.5 ? examples[at]! : turned(examples[at]!);
    step(network, example, options.learningRate * (1 - (0.9 * update) / options.updates));
    if (update >= tail) {
      entropy += entropyOf(network);
      valueLoss -= Math.log(Math.max(example.won === 1 ? network.value : 1 - network.value, 1e-9));
    }
    if (update % SLICE !== 0) continue;
    if (update >= options.updates / 2) {
      for (let i = 0; i < weights.length; i++) sum[i]! += weights[i]!;
      summed++;
    }
    yield update / options.updates;
  }
  // So few updates that no slice began in the second half: the last weights stand.
  if (summed > 0) weights.set(sum.map((total) => total / summed));
  const counted = options.updates - tail;
  return {
    positions: examples.length,
    updates: options.updates,
    entropy: entropy / counted,
    valueLoss: valueLoss / counted,
  };
}

/** About 50 ms. */
const SLICE = 1_000;

interface Example {
  /** In the frame of the player to move, as is `move`. */
  readonly frame: Int8Array;
  readonly move: number;
  readonly probability: number;
  readonly won: 0 | 1;
}

function examplesOf(game: GameRecord): Example[] {
  const examples: Example[] = [];
  const position = new Position();
  for (const [ply, move] of game.moves.entries()) {
    const probability = game.probabilities[ply]!;
    if (probability > 0) {
      const frame = new Int8Array(CELLS);
      writeFrame(position, frame);
      examples.push({
        frame,
        move: frameCell(move, position.toMove),
        probability,
        won: position.toMove === game.winner ? 1 : 0,
      });
    }
    position.play(move);
  }
  return examples;
}

/** The same example after half a turn of the board; overwritten by the next call. */
function turned(example: Example): Example {
  for (let cell = 0; cell < CELLS; cell++) turnedFrame[cell] = example.frame[rotated(cell)]!;
  return { ...example, frame: turnedFrame, move: rotated(example.move) };
}

const turnedFrame = new Int8Array(CELLS);
const hiddenGradient = new Float32Array(HIDDEN);
const policyGradient = new Float32Array(HIDDEN);
const CLIP = 0.3;

function step(network: Network, example: Example, rate: number): void {
  network.forward(example.frame);
  const { encoding, hidden, pooled, probability, weights } = network;
  const { cellCount, cells, active, activeCount } = encoding;
  const valueError = network.value - example.won;
  const advantage = trusted(example, probability[cells.subarray(0, cellCount).indexOf(example.move)]!, -valueError);
  policyGradient.fill(0);
  for (let i = 0; i < cellCount; i++) {
    const policyError = advantage * (probability[i]! - (cells[i] === example.move ? 1 : 0));
    const base = i * HIDDEN;
    for (let h = 0; h < HIDDEN; h++) {
      const ramp = hidden[base + h]!;
      policyGradient[h]! += policyError * ramp;
      hiddenGradient[h] =
        ramp > 0 ? rate * (policyError * weights[LAYOUT.policy + h]! + (valueError / cellCount) * weights[LAYOUT.value + h]!) : 0;
    }
    subtract(weights, LAYOUT.inputBias, hiddenGradient);
    const end = i * MAX_ACTIVE + activeCount[i]!;
    for (let a = i * MAX_ACTIVE; a < end; a++) subtract(weights, active[a]! * HIDDEN, hiddenGradient);
  }
  for (let h = 0; h < HIDDEN; h++) {
    weights[LAYOUT.policy + h]! -= rate * policyGradient[h]!;
    weights[LAYOUT.value + h]! -= rate * valueError * pooled[h]!;
  }
  weights[LAYOUT.distance + distancePair(encoding)]! -= rate * valueError;
}

/** The advantage, weighted by how much likelier the move has become; 0 when it has already moved far enough. */
function trusted(example: Example, probability: number, advantage: number): number {
  const ratio = probability / example.probability;
  if (advantage > 0 ? ratio > 1 + CLIP : ratio < 1 - CLIP) return 0;
  return advantage * Math.min(ratio, 2);
}

function subtract(weights: Weights, at: number, gradient: Float32Array): void {
  for (let h = 0; h < HIDDEN; h++) weights[at + h]! -= gradient[h]!;
}

function entropyOf(network: Network): number {
  let entropy = 0;
  for (let i = 0; i < network.encoding.cellCount; i++) {
    const probability = network.probability[i]!;
    if (probability > 0) entropy -= probability * Math.log(probability);
  }
  return entropy;
}

function shuffle(examples: Example[], random: Random): void {
  for (let i = examples.length - 1; i > 0; i--) {
    const j = random.below(i + 1);
    const swap = examples[i]!;
    examples[i] = examples[j]!;
    examples[j] = swap;
  }
}
