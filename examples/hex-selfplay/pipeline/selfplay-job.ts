import type { Client } from "../client.ts";
import { readModel } from "../model/model-file.ts";
import type { GameRecord } from "../play/game-record.ts";
import { selfplay, type SelfplayOptions } from "../play/selfplay.ts";
import { gameFile, writeGames } from "../store/games.ts";
import type { Child } from "./child.ts";
import { MODEL, type SelfplayPayload } from "./work-kinds.ts";

/** Plays the payload's games and stores them under the item's own name: doing it again replaces the same file. */
export async function runSelfplay(child: Child<SelfplayPayload>): Promise<{ games: number; moves: number; file: string }> {
  const { payload } = child;
  const model = payload.modelVersion === 0 ? null : await load(child.client(), payload.modelVersion);
  const games: GameRecord[] = [];
  for (const game of selfplay({ seed: payload.seed, games: payload.games, model })) {
    games.push(game);
    if (games.length % 50 === 0) child.progress((100 * games.length) / payload.games, "play", `${games.length} games`);
  }
  const file = gameFile(child.dataDirectory, "selfplay", child.workId);
  writeGames(file, games);
  return { games: games.length, moves: games.reduce((sum, game) => sum + game.moves.length, 0), file };
}

async function load(client: Client, number: number): Promise<NonNullable<SelfplayOptions["model"]>> {
  return { number, weights: readModel(await client.models.version(MODEL, { number })) };
}
