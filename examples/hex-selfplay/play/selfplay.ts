import { CELLS, Position } from "../game/board.ts";
import { Network, type Weights } from "../model/network.ts";
import { deriveSeed, seededRandom, type Random } from "../random.ts";
import type { GameRecord, ModelNumber } from "./game-record.ts";

export interface SelfplayOptions {
  readonly seed: number;
  readonly games: number;
  /** Null: no model yet, both sides play uniformly at random. */
  readonly model: { readonly number: ModelNumber; readonly weights: Weights } | null;
}

/** Games of the model against itself, one at a time, so that the caller may report progress or stop in between. */
export function* selfplay(options: SelfplayOptions): Generator<GameRecord> {
  const network = options.model === null ? null : new Network(options.model.weights);
  const number = options.model?.number ?? 0;
  for (let index = 0; index < options.games; index++) {
    const seed = deriveSeed(options.seed, index);
    yield { index, seed, models: [number, number], ...playGame(network, seededRandom(seed)) };
  }
}

/**
 * Every move is drawn from the model's policy as it is: the exploration is the policy's own, and the probabilities are
 * exact. One to three random opening moves, for without them the games would be few and begin in the centre.
 */
function playGame(network: Network | null, random: Random): Pick<GameRecord, "moves" | "winner" | "probabilities"> {
  const position = new Position();
  const openingPlies = 1 + random.below(3);
  const moves: number[] = [];
  const probabilities: number[] = [];
  while (position.winner === null) {
    const opening = moves.length < openingPlies;
    const move = opening || network === null ? uniform(position, random) : drawn(network.evaluate(position), position, random);
    probabilities.push(opening ? 0 : network === null ? 1 / (CELLS - moves.length) : network.policy[move]!);
    moves.push(move);
    position.play(move);
  }
  return { moves: Uint8Array.from(moves), winner: position.winner, probabilities: Float32Array.from(probabilities) };
}

export function uniform(position: Position, random: Random): number {
  const moves = position.legalMoves();
  return moves[random.below(moves.length)]!;
}

function drawn(policy: Float32Array, position: Position, random: Random): number {
  let left = random.next();
  for (let cell = 0; cell < CELLS; cell++) {
    left -= policy[cell]!;
    if (left < 0) return cell;
  }
  // Rounding left a sliver beyond the last cell: about one draw in ten million.
  return position.legalMoves().at(-1)!;
}
