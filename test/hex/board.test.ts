import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { CELLS, NEIGHBOURS, Position, SIZE, type Player } from "../../examples/hex-selfplay/game/board.ts";
import { rotated, transposed, writeFrame } from "../../examples/hex-selfplay/game/symmetry.ts";
import { encode, MAX_ACTIVE, newEncoding } from "../../examples/hex-selfplay/model/features.ts";
import { freshWeights, Network } from "../../examples/hex-selfplay/model/network.ts";
import { seededRandom } from "../../examples/hex-selfplay/random.ts";

describe("Hex on 8x8", () => {
  it("has exactly one winner on every full board (Gale 1979)", () => {
    const random = seededRandom(1);
    const wins = [0, 0];
    for (let game = 0; game < 2_000; game++) {
      const cells = Int8Array.from({ length: CELLS }, () => random.below(2));
      const connected = ([0, 1] as const).filter((player) => joins(cells, player));
      assert.equal(connected.length, 1, `board ${cells.join("")}`);
      wins[connected[0]!]!++;
    }
    assert.ok(wins[0]! > 800 && wins[1]! > 800, `both players win: ${wins.join(" and ")}`);
  });

  it("ends a game with the move that joins the edges, and not before", () => {
    const random = seededRandom(2);
    for (let game = 0; game < 300; game++) {
      const position = new Position();
      while (position.winner === null) {
        const mover = position.toMove;
        const moves = position.legalMoves();
        assert.equal(moves.length, CELLS - position.moveCount);
        position.play(moves[random.below(moves.length)]!);
        const joined = joins(position.cells, mover);
        assert.equal(position.winner, joined ? mover : null);
      }
      assert.deepEqual(position.legalMoves(), []);
    }
  });

  it("gives player 0 a straight column and player 1 a straight row", () => {
    assert.equal(played([3, 0, 11, 1, 19, 2, 27, 8, 35, 9, 43, 10, 51, 16, 59]).winner, 0);
    assert.equal(played([63, 24, 62, 25, 61, 26, 60, 27, 55, 28, 54, 29, 53, 30, 52, 31]).winner, 1);
  });

  it("does not join cells that only touch on the square grid's other diagonal", () => {
    assert.ok(NEIGHBOURS[9]!.includes(2) && NEIGHBOURS[9]!.includes(16));
    assert.ok(!NEIGHBOURS[9]!.includes(0) && !NEIGHBOURS[9]!.includes(18));
  });

  it("refuses a taken cell, a cell off the board, and a move after the end", () => {
    const position = played([3]);
    assert.throws(() => position.play(3), RangeError);
    assert.throws(() => position.play(CELLS), RangeError);
    const over = played([3, 0, 11, 1, 19, 2, 27, 8, 35, 9, 43, 10, 51, 16, 59]);
    assert.throws(() => over.play(63), /cannot be played/);
  });
});

describe("what the network sees", () => {
  it("is the same for both players: a transposed game with colours swapped has the same policy and value", () => {
    const random = seededRandom(3);
    const network = new Network(freshWeights(4));
    for (let game = 0; game < 50; game++) {
      const position = randomPosition(random, 2 * random.below(12));
      const mirror = new Position();
      for (let cell = 0; cell < CELLS; cell++) {
        const stone = position.cells[cell]!;
        mirror.cells[transposed(cell)] = stone < 0 ? stone : 1 - stone;
      }
      mirror.toMove = (1 - position.toMove) as Player;
      const policy = network.evaluate(position).slice();
      const value = network.value;
      const mirrored = network.evaluate(mirror);
      assert.equal(network.value, value);
      for (let cell = 0; cell < CELLS; cell++) assert.equal(mirrored[transposed(cell)], policy[cell]);
    }
  });

  it("turns with the board: half a turn keeps both distances and the features that do not name a neighbour", () => {
    const random = seededRandom(5);
    const here = newEncoding();
    const there = newEncoding();
    for (let game = 0; game < 50; game++) {
      const frame = new Int8Array(CELLS);
      writeFrame(randomPosition(random, random.below(25)), frame);
      encode(frame, here);
      encode(
        Int8Array.from(frame, (_, cell) => frame[rotated(cell)]!),
        there,
      );
      assert.deepEqual([there.ownDistance, there.opponentDistance], [here.ownDistance, here.opponentDistance]);
      for (let i = 0; i < here.cellCount; i++) {
        const j = here.cellCount - 1 - i;
        assert.equal(there.cells[j], rotated(here.cells[i]!));
        assert.deepEqual(lastTwo(there, j), lastTwo(here, i));
      }
    }
  });

  it("counts the stones still needed: 8 on an empty board, 0 more than what a bridge of stones leaves open", () => {
    const encoding = newEncoding();
    const frame = new Int8Array(CELLS);
    encode(frame, encoding);
    assert.deepEqual([encoding.ownDistance, encoding.opponentDistance], [SIZE, SIZE]);
    for (const row of [0, 1, 2, 5, 6]) frame[row * SIZE + 3] = 1;
    encode(frame, encoding);
    assert.equal(encoding.ownDistance, 3);
    assert.equal(encoding.opponentDistance, SIZE, "the gap at rows 3 and 4 leaves a straight way through");
  });

  it("gives probabilities that sum to one over the empty cells and none elsewhere", () => {
    const position = randomPosition(seededRandom(6), 20);
    const policy = new Network(freshWeights(7)).evaluate(position);
    const legal = new Set(position.legalMoves());
    for (let cell = 0; cell < CELLS; cell++) assert.equal(policy[cell]! > 0, legal.has(cell));
    assert.ok(Math.abs(policy.reduce((a, b) => a + b, 0) - 1) < 1e-5);
  });
});

/** An independent judge: paints from one edge to the other by repeated sweeps. */
function joins(cells: Int8Array, player: Player): boolean {
  const painted = new Set<number>();
  const start = (cell: number): boolean => (player === 0 ? cell < SIZE : cell % SIZE === 0);
  const goal = (cell: number): boolean => (player === 0 ? cell >= CELLS - SIZE : cell % SIZE === SIZE - 1);
  for (let before = -1; before < painted.size;) {
    before = painted.size;
    for (let cell = 0; cell < CELLS; cell++) {
      if (cells[cell] !== player) continue;
      if (start(cell) || [-8, -7, -1, 1, 7, 8].some((step) => adjoining(cell, cell + step) && painted.has(cell + step)))
        painted.add(cell);
    }
  }
  return [...painted].some(goal);
}

/** Steps of -7 … 7 must not run over the side of the board. */
function adjoining(a: number, b: number): boolean {
  return b >= 0 && b < CELLS && Math.abs((a % SIZE) - (b % SIZE)) <= 1;
}

function played(moves: readonly number[]): Position {
  const position = new Position();
  for (const move of moves) position.play(move);
  return position;
}

function randomPosition(random: ReturnType<typeof seededRandom>, plies: number): Position {
  const position = new Position();
  for (let ply = 0; ply < plies; ply++) {
    const moves = position.legalMoves();
    const next = new Position().copyFrom(position);
    next.play(moves[random.below(moves.length)]!);
    if (next.winner !== null) break;
    position.copyFrom(next);
  }
  return position;
}

function lastTwo(encoding: ReturnType<typeof newEncoding>, i: number): number[] {
  const end = i * MAX_ACTIVE + encoding.activeCount[i]!;
  return Array.from(encoding.active.subarray(end - 2, end));
}
