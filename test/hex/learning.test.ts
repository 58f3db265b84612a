import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { pathToFileURL } from "node:url";
import { modelBytes, readModel, sha256Of, writeModel } from "../../examples/hex-selfplay/model/model-file.ts";
import { freshWeights, type Weights } from "../../examples/hex-selfplay/model/network.ts";
import { train } from "../../examples/hex-selfplay/model/trainer.ts";
import { playMatch, winsOf, type Contestant } from "../../examples/hex-selfplay/play/match.ts";
import type { GameRecord } from "../../examples/hex-selfplay/play/game-record.ts";
import { selfplay } from "../../examples/hex-selfplay/play/selfplay.ts";
import { eloTable } from "../../examples/hex-selfplay/rating/elo-table.ts";
import { wilson } from "../../examples/hex-selfplay/rating/score.ts";
import {
  gameFile,
  gameFiles,
  newestGamesOf,
  pruneSelfplay,
  readGames,
  writeGames,
} from "../../examples/hex-selfplay/store/games.ts";

const directory = mkdtempSync(join(tmpdir(), "hex-"));
after(() => rmSync(directory, { recursive: true }));
const RANDOM: Contestant = { number: 0, weights: null };

describe("learning from self-play", () => {
  const first = { number: 1, weights: fitted(freshWeights(1), [...selfplay({ seed: 1, games: 200, model: null })]) };

  it("beats uniform-random play in at least 80 % after one generation of random games", () => {
    const games = [...playMatch({ seed: 2, openings: 100, first, second: RANDOM })];
    const score = wilson(winsOf(1, games), games.length);
    assert.ok(score.score >= 0.8, `${score.wins} of ${score.games}`);
  });

  it("beats version 1 with 95 % confidence after one generation of version 1's own games", () => {
    const games = [...selfplay({ seed: 3, games: 800, model: first })];
    const second = { number: 2, weights: fitted(first.weights.slice(), games) };
    const match = [...playMatch({ seed: 4, openings: 150, first: second, second: first })];
    const score = wilson(winsOf(2, match), match.length);
    assert.ok(score.low > 0.5, `${score.wins} of ${score.games}`);
  });

  it("is reproducible: the same seed gives the same games and the same bytes", () => {
    const options = { seed: 5, games: 5, model: first };
    const games = [...selfplay(options)];
    assert.deepEqual([...selfplay(options)], games);
    assert.notDeepEqual([...selfplay({ ...options, seed: 6 })], games);
    assert.deepEqual(modelBytes(fitted(freshWeights(8), games)), modelBytes(fitted(freshWeights(8), games)));
  });

  it("plays every opening twice with colours swapped", () => {
    const games = [...playMatch({ seed: 7, openings: 20, first, second: RANDOM })];
    for (let i = 0; i < games.length; i += 2) {
      assert.deepEqual(games[i]!.moves.slice(0, 3), games[i + 1]!.moves.slice(0, 3));
      assert.deepEqual(
        [games[i]!.models, games[i + 1]!.models],
        [
          [1, 0],
          [0, 1],
        ],
      );
    }
    assert.ok(new Set(games.map((game) => game.moves.slice(0, 3).join())).size > 15, "openings differ");
  });
});

describe("stored games", () => {
  it("come back as they were written, and writing them again replaces the file", () => {
    const games = [...selfplay({ seed: 9, games: 3, model: { number: 4, weights: freshWeights(2) } })];
    const path = gameFile(directory, "selfplay", "w-1-0");
    writeGames(path, games.slice(0, 1));
    writeGames(path, games);
    assert.deepEqual(readGames(path).map(plain), games.map(plain));
    assert.deepEqual(readdirSync(join(directory, "games")), ["selfplay_w-1-0.db"]);
    assert.equal(newestGamesOf(directory, 4, 2).length, 2);
    assert.deepEqual(newestGamesOf(directory, 3, 2), [], "games of another version teach nothing about this one");
  });

  it("of evaluations give the Elo table, version 1 = 0", () => {
    const here = join(directory, "elo");
    const contestants = [1, 2].map((number) => ({ number, weights: freshWeights(number) }));
    const games = [...playMatch({ seed: 1, openings: 10, first: contestants[0]!, second: contestants[1]! })];
    writeGames(gameFile(here, "eval", "w-2-0"), games);
    const table = eloTable(here);
    assert.deepEqual(new Set(table.map((row) => row.model)), new Set([1, 2]));
    assert.equal(table.find((row) => row.model === 1)!.elo, 0);
    assert.equal(table[0]!.games, 20);
    assert.deepEqual(eloTable(join(directory, "nothing")), []);
  });

  it("are kept up to a number, and leftovers of killed children go after an hour", () => {
    const here = join(directory, "prune");
    mkdirSync(join(here, "games"), { recursive: true });
    for (const [age, name] of ["selfplay_a.db", "selfplay_b.db", "selfplay_c.db", "eval_a.db", "selfplay_d.db.9.tmp"].entries()) {
      const path = join(here, "games", name);
      writeFileSync(path, "");
      utimesSync(path, 10_000 - age, 10_000 - age);
    }
    pruneSelfplay(here, 2, 10_000_000);
    assert.equal(readdirSync(join(here, "games")).length, 4);
    pruneSelfplay(here, 2, 14_000_000);
    assert.deepEqual(readdirSync(join(here, "games")).sort(), ["eval_a.db", "selfplay_a.db", "selfplay_b.db"]);
    assert.equal(gameFiles(here, "selfplay").length, 2);
  });
});

describe("a model file", () => {
  it("comes back bit for bit and is refused when it is not what the registry names", () => {
    const weights = freshWeights(3);
    const bytes = modelBytes(weights);
    const path = join(directory, "models", "v1.json");
    writeModel(path, bytes);
    const sourceUri = pathToFileURL(path).href;
    assert.deepEqual(readModel({ sourceUri, sha256: sha256Of(bytes) }), weights);
    assert.throws(() => readModel({ sourceUri, sha256: "00" }), /the registry says 00/);
  });
});

function fitted(weights: Weights, games: readonly GameRecord[]): Weights {
  const updates = games.reduce((sum, game) => sum + game.moves.length, 0);
  for (const _ of train(weights, games, { seed: 1, updates, learningRate: 0.05 }));
  return weights;
}

function plain(game: GameRecord): unknown {
  return { ...game, moves: [...game.moves], probabilities: [...game.probabilities] };
}
