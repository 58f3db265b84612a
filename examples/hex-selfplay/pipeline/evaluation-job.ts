import { setImmediate } from "node:timers/promises";
import type { Client, Model } from "../client.ts";
import { readModel } from "../model/model-file.ts";
import type { GameRecord } from "../play/game-record.ts";
import { playMatch, winsOf, type Contestant, type MatchOptions } from "../play/match.ts";
import { deriveSeed } from "../random.ts";
import { ANCHOR, eloTable } from "../rating/elo-table.ts";
import { deservesPromotion, scoreText, wilson } from "../rating/score.ts";
import { gameFile, writeGames } from "../store/games.ts";
import type { Child } from "./child.ts";
import { CANONICAL, MODEL, type EvaluationPayload } from "./work-kinds.ts";

export interface EvaluationResult {
  readonly candidate: number;
  /** 0 = uniform-random: there was no canonical version. */
  readonly opponent: number;
  readonly promoted: boolean;
  readonly score: number;
  readonly low: number;
  readonly high: number;
  readonly games: number;
  readonly elo: number;
  readonly eloPlusMinus: number;
}

/** Each opening makes two games: 300 against the canonical version, 100 against version 1 so that ratings stay joined. */
const OPENINGS = 150;
const ANCHOR_OPENINGS = 50;

/**
 * Plays the candidate against the canonical version and moves the alias only if it deserves it, by compare-and-set on
 * the alias as it was before the match: whoever was canonical then is who was beaten.
 */
export async function runEvaluation(child: Child<EvaluationPayload>): Promise<EvaluationResult> {
  const client = child.client();
  const { candidate: number, seed } = child.payload;
  const model = await client.models.get(MODEL);
  const alias = opponentOf(model, number);
  const candidate = await contestant(client, number);
  const opponent = await contestant(client, alias.version);
  const games = await play(child, { seed, openings: OPENINGS, first: candidate, second: opponent }, 0);
  const extra =
    alias.version > ANCHOR && number !== ANCHOR
      ? await play(
          child,
          { seed: deriveSeed(seed, 1), openings: ANCHOR_OPENINGS, first: candidate, second: await contestant(client, ANCHOR) },
          games.length,
        )
      : [];
  writeGames(gameFile(child.dataDirectory, "eval", child.workId), [...games, ...extra]);
  const score = wilson(winsOf(number, games), games.length);
  const rating = eloTable(child.dataDirectory).find((row) => row.model === number) ?? { elo: 0, plusMinus: 0 };
  const promoted = deservesPromotion(score, alias.version === 0 ? "random" : "canonical");
  if (promoted && !alias.alreadyMoved) {
    const versus = alias.version === 0 ? "uniform-random" : `v${alias.version}`;
    const reason = `score ${scoreText(score)} against ${versus}; elo ${rating.elo.toFixed(0)} ± ${rating.plusMinus.toFixed(0)}`;
    await moveAlias(client, { version: number, expectedAliasRevision: alias.revision, reason, by: child.workId });
  }
  return {
    candidate: number,
    opponent: alias.version,
    promoted: promoted || alias.alreadyMoved,
    score: score.score,
    low: score.low,
    high: score.high,
    games: score.games,
    elo: rating.elo,
    eloPlusMinus: rating.plusMinus,
  };
}

/** Through a session, so that a lost answer does not leave it unknown whether the alias moved. */
async function moveAlias(
  client: Client,
  move: { version: number; expectedAliasRevision: AliasRevision; reason: string; by: string },
): Promise<void> {
  const session = await client.openSession({ purpose: "hex evaluation" });
  try {
    await session.models.setAlias({ model: MODEL, alias: CANONICAL, ...move });
  } finally {
    await session.close();
  }
}

type AliasRevision = Model["aliases"][string]["revision"];

/**
 * Whom to beat. When the alias already names the candidate, an earlier attempt of this item moved it and died before it
 * could say so: the match is then repeated for its result, against the version that was canonical before.
 */
function opponentOf(model: Model, candidate: number): { version: number; revision: AliasRevision; alreadyMoved: boolean } {
  const canonical = model.aliases[CANONICAL];
  if (canonical === undefined) return { version: 0, revision: 0 as AliasRevision, alreadyMoved: false };
  if (canonical.version !== candidate) return { version: canonical.version, revision: canonical.revision, alreadyMoved: false };
  const before = model.history.filter((move) => move.alias === CANONICAL && move.version !== candidate).at(-1);
  return { version: before?.version ?? 0, revision: canonical.revision, alreadyMoved: true };
}

async function contestant(client: Client, number: number): Promise<Contestant> {
  return { number, weights: number === 0 ? null : readModel(await client.models.version(MODEL, { number })) };
}

async function play(child: Child<EvaluationPayload>, match: MatchOptions, firstIndex: number): Promise<GameRecord[]> {
  const games: GameRecord[] = [];
  for (const game of playMatch(match)) {
    games.push({ ...game, index: firstIndex + game.index });
    if (games.length % 50 !== 0) continue;
    child.progress((100 * games.length) / (2 * match.openings), "match", `against v${match.second.number}`);
    await setImmediate();
  }
  return games;
}
