import type { ModelNumber } from "../play/game-record.ts";
import { gameFiles, readGames } from "../store/games.ts";
import { rate, type Pairing, type Rating } from "./elo.ts";

/** Version 1 is 0 Elo. */
export const ANCHOR: ModelNumber = 1;

/** Ratings of all versions (0 = uniform-random) from every stored evaluation game; strongest first. */
export function eloTable(dataDirectory: string): Rating[] {
  const pairings = new Map<string, { first: number; second: number; firstWins: number; secondWins: number }>();
  for (const path of gameFiles(dataDirectory, "eval")) {
    for (const game of readGames(path)) {
      const first = Math.min(...game.models);
      const second = Math.max(...game.models);
      const key = `${first}/${second}`;
      const pairing = pairings.get(key) ?? { first, second, firstWins: 0, secondWins: 0 };
      pairings.set(key, pairing);
      if (game.models[game.winner] === first) pairing.firstWins++;
      else pairing.secondWins++;
    }
  }
  return pairings.size === 0 ? [] : rate([...pairings.values()] satisfies Pairing[], anchorOf(pairings.values()));
}

/** The first promoted version; another than 1 only when version 1 was never evaluated. */
function anchorOf(pairings: Iterable<Pairing>): ModelNumber {
  const seen = [...pairings].flatMap(({ first, second }) => [first, second]).filter((model) => model > 0);
  return seen.includes(ANCHOR) ? ANCHOR : Math.min(...seen);
}
