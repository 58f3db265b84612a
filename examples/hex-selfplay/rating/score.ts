/** Share of games won, with the 95 % interval of Wilson (1927), which holds also near 0 and 1. */
export interface Score {
  readonly games: number;
  readonly wins: number;
  readonly score: number;
  readonly low: number;
  readonly high: number;
}

const Z_95 = 1.959963984540054;

/**
 * Games that share an opening are counted as if they were independent: with colours swapped their results oppose each
 * other more often than not, so that the interval is rather too wide than too narrow. Throws RangeError without games.
 */
export function wilson(wins: number, games: number): Score {
  if (!(games > 0) || wins < 0 || wins > games) throw new RangeError(`${wins} wins of ${games} games is no score`);
  const share = wins / games;
  const z2 = Z_95 * Z_95;
  const middle = (share + z2 / (2 * games)) / (1 + z2 / games);
  const half = (Z_95 / (1 + z2 / games)) * Math.sqrt((share * (1 - share)) / games + z2 / (4 * games * games));
  return { games, wins, score: share, low: Math.max(0, middle - half), high: Math.min(1, middle + half) };
}

/** A later version must beat the canonical one with 95 % confidence; the first must beat uniform-random play clearly. */
export function deservesPromotion(score: Score, opponent: "canonical" | "random"): boolean {
  return opponent === "canonical" ? score.low > 0.5 : score.score >= 0.8;
}

/** "0.610 [0.554, 0.664] over 300 games" */
export function scoreText(score: Score): string {
  return `${score.score.toFixed(3)} [${score.low.toFixed(3)}, ${score.high.toFixed(3)}] over ${score.games} games`;
}
