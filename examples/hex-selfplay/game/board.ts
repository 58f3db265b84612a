/**
 * Hex on 8x8 for two players, without the swap rule (a match plays each opening from both sides instead).
 * Player 0 connects top and bottom, player 1 left and right; player 0 moves first. Cell = row * 8 + column.
 */
export const SIZE = 8;
export const CELLS = SIZE * SIZE;
/** The board's name in payloads, locks and the registry. */
export const BOARD = "hex8_2p";

export type Player = 0 | 1;
export const EMPTY = -1;

/** The six neighbours of a cell; the set is closed under transposition and under rotation by 180°. */
export const DIRECTIONS: readonly (readonly [row: number, column: number])[] = [
  [-1, 0],
  [-1, 1],
  [0, -1],
  [0, 1],
  [1, -1],
  [1, 0],
];

export const NEIGHBOURS: readonly Int8Array[] = Array.from({ length: CELLS }, (_, cell) => {
  const row = cell >> 3;
  const column = cell & 7;
  return Int8Array.from(
    DIRECTIONS.map(([dr, dc]) => [row + dr, column + dc] as const)
      .filter(([r, c]) => r >= 0 && r < SIZE && c >= 0 && c < SIZE)
      .map(([r, c]) => r * SIZE + c),
  );
});

export class Position {
  /** EMPTY or the player whose stone lies there. */
  readonly cells: Int8Array = new Int8Array(CELLS).fill(EMPTY);
  toMove: Player = 0;
  winner: Player | null = null;
  moveCount = 0;

  copyFrom(other: Position): this {
    this.cells.set(other.cells);
    this.toMove = other.toMove;
    this.winner = other.winner;
    this.moveCount = other.moveCount;
    return this;
  }

  /** Throws RangeError when the cell is taken or off the board, or the game is over. */
  play(cell: number): void {
    if (this.winner !== null || this.cells[cell] !== EMPTY)
      throw new RangeError(`cell ${cell} cannot be played after ${this.moveCount} moves`);
    const player = this.toMove;
    this.cells[cell] = player;
    this.moveCount++;
    if (connects(this.cells, player, cell)) this.winner = player;
    this.toMove = (1 - player) as Player;
  }

  /** Cells that may be played, ascending; none when the game is over. */
  legalMoves(): number[] {
    const moves: number[] = [];
    if (this.winner !== null) return moves;
    for (let cell = 0; cell < CELLS; cell++) if (this.cells[cell] === EMPTY) moves.push(cell);
    return moves;
  }
}

/** Does the group that holds `start` touch both of the player's edges? Only a group with the newest stone can be new. */
function connects(cells: Int8Array, player: Player, start: number): boolean {
  seen.fill(0);
  seen[start] = 1;
  stack[0] = start;
  let depth = 1;
  let touchesLow = false;
  let touchesHigh = false;
  while (depth > 0) {
    const cell = stack[--depth]!;
    const along = player === 0 ? cell >> 3 : cell & 7;
    if (along === 0) touchesLow = true;
    else if (along === SIZE - 1) touchesHigh = true;
    if (touchesLow && touchesHigh) return true;
    const neighbours = NEIGHBOURS[cell]!;
    for (let i = 0; i < neighbours.length; i++) {
      const next = neighbours[i]!;
      if (seen[next] === 0 && cells[next] === player) {
        seen[next] = 1;
        stack[depth++] = next;
      }
    }
  }
  return false;
}

// Scratch space: none of these functions is re-entrant, and allocation would dominate their cost.
const seen = new Uint8Array(CELLS);
const stack = new Int8Array(CELLS);
