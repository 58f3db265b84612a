import type { ModelNumber } from "../play/game-record.ts";

/** All games between two players. */
export interface Pairing {
  readonly first: ModelNumber;
  readonly second: ModelNumber;
  readonly firstWins: number;
  readonly secondWins: number;
}

export interface Rating {
  readonly model: ModelNumber;
  /** Relative to the anchor. */
  readonly elo: number;
  /** Half width of the 95 % interval of the difference to the anchor. */
  readonly plusMinus: number;
  readonly games: number;
}

/**
 * Maximum-likelihood Elo (Bradley and Terry 1952) with intervals from the Fisher information; strongest first. The
 * anchor is 0 by definition. One won and one lost game are added to half weight in each pairing, so that a player who
 * lost every game still has a finite rating; players whom no chain of games joins to the anchor are left out.
 */
export function rate(pairings: readonly Pairing[], anchor: ModelNumber): Rating[] {
  const players = joinedTo(anchor, pairings);
  const known = new Map(players.map((model, i) => [model, i]));
  const played = pairings.filter((pairing) => known.has(pairing.first));
  const elo = new Float64Array(players.length);
  let information = new Float64Array(0);
  for (let round = 0; round < 100; round++) {
    const gradient = new Float64Array(players.length);
    information = newtonSystem(played, known, elo, gradient);
    const change = solve(information, gradient, players.length);
    let largest = 0;
    for (let i = 1; i < players.length; i++) {
      const bounded = Math.max(-200, Math.min(200, change[i]!));
      elo[i]! += bounded;
      largest = Math.max(largest, Math.abs(bounded));
    }
    if (largest < 1e-6) break;
  }
  return players
    .map((model, i) => ({
      model,
      elo: elo[i]!,
      plusMinus: i === 0 ? 0 : 1.959963984540054 * Math.sqrt(inverseAt(information, i, players.length)),
      games: played.reduce((sum, p) => sum + (p.first === model || p.second === model ? p.firstWins + p.secondWins : 0), 0),
    }))
    .sort((a, b) => b.elo - a.elo);
}

/** The anchor first, then everyone whom games join to it, directly or through others. */
function joinedTo(anchor: ModelNumber, pairings: readonly Pairing[]): ModelNumber[] {
  const joined = new Set([anchor]);
  for (let before = 0; before < joined.size;) {
    before = joined.size;
    for (const { first, second } of pairings) {
      if (joined.has(first)) joined.add(second);
      else if (joined.has(second)) joined.add(first);
    }
  }
  return [...joined];
}

const PER_ELO = Math.LN10 / 400;
const PRIOR = 0.5;

/** Fills the log-likelihood's gradient; returns the Fisher information, the anchor's row and column fixed. */
function newtonSystem(
  pairings: readonly Pairing[],
  known: ReadonlyMap<ModelNumber, number>,
  elo: Float64Array,
  gradient: Float64Array,
): Float64Array<ArrayBuffer> {
  const n = elo.length;
  const information = new Float64Array(n * n);
  for (const { first, second, firstWins, secondWins } of pairings) {
    const a = known.get(first)!;
    const b = known.get(second)!;
    const games = firstWins + secondWins + 2 * PRIOR;
    const expected = 1 / (1 + Math.exp(PER_ELO * (elo[b]! - elo[a]!)));
    const surplus = PER_ELO * (firstWins + PRIOR - games * expected);
    gradient[a]! += surplus;
    gradient[b]! -= surplus;
    const weight = PER_ELO * PER_ELO * games * expected * (1 - expected);
    information[a * n + a]! += weight;
    information[b * n + b]! += weight;
    information[a * n + b]! -= weight;
    information[b * n + a]! -= weight;
  }
  for (let i = 0; i < n; i++) information[i] = information[i * n] = 0;
  information[0] = 1;
  gradient[0] = 0;
  return information;
}

function inverseAt(matrix: Float64Array, index: number, n: number): number {
  const unit = new Float64Array(n);
  unit[index] = 1;
  return solve(matrix, unit, n)[index]!;
}

/** Gaussian elimination; the matrix is positive definite, so that no pivoting is needed. */
function solve(matrix: Float64Array, right: Float64Array, n: number): Float64Array {
  const m = matrix.slice();
  const x = right.slice();
  for (let pivot = 0; pivot < n; pivot++) {
    for (let row = pivot + 1; row < n; row++) {
      const factor = m[row * n + pivot]! / m[pivot * n + pivot]!;
      if (factor === 0) continue;
      for (let column = pivot; column < n; column++) m[row * n + column]! -= factor * m[pivot * n + column]!;
      x[row]! -= factor * x[pivot]!;
    }
  }
  for (let row = n - 1; row >= 0; row--) {
    for (let column = row + 1; column < n; column++) x[row]! -= m[row * n + column]! * x[column]!;
    x[row]! /= m[row * n + row]!;
  }
  return x;
}
