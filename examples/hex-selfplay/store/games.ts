import { mkdirSync, readdirSync, renameSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import type { GameRecord } from "../play/game-record.ts";
import type { Player } from "../game/board.ts";

/** The files of `<data>/games`: one SQLite database per finished work item. */
export type GameFileKind = "selfplay" | "eval";

export function gameFile(dataDirectory: string, kind: GameFileKind, workId: string): string {
  return join(dataDirectory, "games", `${kind}_${workId}.db`);
}

/**
 * Writes all games of a work item. The file appears under its name only when it is complete, so that a killed child
 * leaves no half file, and a repeated item replaces its own.
 */
export function writeGames(path: string, games: readonly GameRecord[]): void {
  mkdirSync(join(path, ".."), { recursive: true });
  const unfinished = `${path}.${process.pid}.tmp`;
  rmSync(unfinished, { force: true });
  const database = new DatabaseSync(unfinished);
  try {
    // The rename is the commit: until then nobody reads the file, and SQLite's own journal would only cost.
    database.exec("PRAGMA journal_mode = OFF; BEGIN");
    database.exec(SCHEMA);
    const insert = database.prepare("INSERT INTO games VALUES (?, ?, ?, ?, ?, ?, ?)");
    for (const game of games) {
      const probabilities = new Uint8Array(
        game.probabilities.buffer,
        game.probabilities.byteOffset,
        game.probabilities.byteLength,
      );
      insert.run(game.index, game.seed, game.winner, game.models[0], game.models[1], game.moves, probabilities);
    }
    database.exec("COMMIT");
  } finally {
    database.close();
  }
  renameSync(unfinished, path);
}

const SCHEMA = `
  CREATE TABLE games (
    game INTEGER PRIMARY KEY,
    seed INTEGER NOT NULL,
    winner INTEGER NOT NULL CHECK (winner IN (0, 1)),
    model_0 INTEGER NOT NULL,
    model_1 INTEGER NOT NULL,
    moves BLOB NOT NULL,
    probabilities BLOB NOT NULL
  ) STRICT`;

export function readGames(path: string): GameRecord[] {
  const database = new DatabaseSync(path, { readOnly: true });
  try {
    return database.prepare("SELECT * FROM games ORDER BY game").all().map(gameOf);
  } finally {
    database.close();
  }
}

function gameOf(row: Record<string, unknown>): GameRecord {
  const bytes = row["probabilities"] as Uint8Array;
  return {
    index: row["game"] as number,
    seed: row["seed"] as number,
    winner: row["winner"] as Player,
    models: [row["model_0"] as number, row["model_1"] as number],
    moves: row["moves"] as Uint8Array,
    probabilities: new Float32Array(bytes.slice().buffer),
  };
}

/** Finished files of a kind, newest first. */
export function gameFiles(dataDirectory: string, kind: GameFileKind): string[] {
  const directory = join(dataDirectory, "games");
  mkdirSync(directory, { recursive: true });
  return readdirSync(directory)
    .filter((name) => name.startsWith(`${kind}_`) && name.endsWith(".db"))
    .map((name) => join(directory, name))
    .map((path) => ({ path, modifiedMs: statSync(path).mtimeMs }))
    .sort((a, b) => b.modifiedMs - a.modifiedMs || (a.path < b.path ? 1 : -1))
    .map(({ path }) => path);
}

/** The newest games that `model` played against itself, up to `limit`: what may train its successor. */
export function newestGamesOf(dataDirectory: string, model: number, limit: number): GameRecord[] {
  const games: GameRecord[] = [];
  for (const path of gameFiles(dataDirectory, "selfplay")) {
    if (games.length >= limit) break;
    for (const game of readGames(path)) if (game.models[0] === model && games.length < limit) games.push(game);
  }
  return games;
}

/** Removes all but the newest self-play files, and what killed children left behind. Call it under the training lock. */
export function pruneSelfplay(dataDirectory: string, keep: number, nowMs: number): void {
  for (const path of gameFiles(dataDirectory, "selfplay").slice(keep)) rmSync(path, { force: true });
  const directory = join(dataDirectory, "games");
  for (const name of readdirSync(directory).filter((entry) => entry.endsWith(".tmp"))) {
    const path = join(directory, name);
    const modifiedMs = statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? nowMs;
    if (nowMs - modifiedMs > HOUR_MS) rmSync(path, { force: true });
  }
}

const HOUR_MS = 3_600_000;
