import { CELLS, Position, type Player } from "../game/board.ts";
import { Network, type Weights } from "../model/network.ts";
import { deriveSeed, seededRandom, type Random } from "../random.ts";
import type { GameRecord, ModelNumber } from "./game-record.ts";
import { uniform } from "./selfplay.ts";

export interface Contestant {
  readonly number: ModelNumber;
  /** Null: the uniform-random player. */
  readonly weights: Weights | null;
}

export interface MatchOptions {
  readonly seed: number;
  /** Each opening is played twice, with colours swapped. */
  readonly openings: number;
  readonly first: Contestant;
  readonly second: Contestant;
}

/** Random moves at the start of every game: enough for different games, few enough that most stay open. */
const OPENING_PLIES = 3;

/** A model plays its most probable move, so all variety comes from the openings; pairs of games are consecutive. */
export function* playMatch(options: MatchOptions): Generator<GameRecord> {
  const first = chooser(options.first);
  const second = chooser(options.second);
  for (let opening = 0; opening < options.openings; opening++) {
    const seed = deriveSeed(options.seed, opening);
    for (const swapped of [false, true]) {
      const random = seededRandom(seed);
      const [black, white] = swapped ? [second, first] : [first, second];
      const { moves, winner } = playGame(black, white, random);
      yield {
        index: opening * 2 + (swapped ? 1 : 0),
        seed,
        moves: Uint8Array.from(moves),
        winner,
        models: swapped ? [options.second.number, options.first.number] : [options.first.number, options.second.number],
        probabilities: new Float32Array(0),
      };
    }
  }
}

/** Games won by a contestant. */
export function winsOf(number: ModelNumber, games: readonly GameRecord[]): number {
  return games.filter((game) => game.models[game.winner] === number).length;
}

type Chooser = (position: Position, random: Random) => number;

function chooser(contestant: Contestant): Chooser {
  if (contestant.weights === null) return uniform;
  const network = new Network(contestant.weights);
  return (position) => {
    const policy = network.evaluate(position);
    let best = -1;
    for (let cell = 0; cell < CELLS; cell++) if (policy[cell]! > 0 && (best < 0 || policy[cell]! > policy[best]!)) best = cell;
    return best >= 0 ? best : position.legalMoves()[0]!;
  };
}

function playGame(black: Chooser, white: Chooser, random: Random): { moves: number[]; winner: Player } {
  const position = new Position();
  const moves: number[] = [];
  while (position.winner === null) {
    const choose = moves.length < OPENING_PLIES ? uniform : position.toMove === 0 ? black : white;
    const move = choose(position, random);
    moves.push(move);
    position.play(move);
  }
  return { moves, winner: position.winner };
}
