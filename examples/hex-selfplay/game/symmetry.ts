import { CELLS, EMPTY, SIZE, type Player, type Position } from "./board.ts";

/** Swaps rows and columns: turns the left–right player's game into the top–bottom player's. */
export function transposed(cell: number): number {
  return (cell & 7) * SIZE + (cell >> 3);
}

/** Half a turn: maps the game onto itself. */
export function rotated(cell: number): number {
  return CELLS - 1 - cell;
}

/** Between the board's cells and the frame of the player to move, whose own edges are always top and bottom. */
export function frameCell(cell: number, toMove: Player): number {
  return toMove === 0 ? cell : transposed(cell);
}

export const FRAME_EMPTY = 0;
export const FRAME_OWN = 1;
export const FRAME_OPPONENT = 2;

/** The position as the player to move sees it: one encoding serves both players. */
export function writeFrame(position: Position, frame: Int8Array): void {
  const { cells, toMove } = position;
  for (let cell = 0; cell < CELLS; cell++) {
    const stone = cells[cell]!;
    frame[frameCell(cell, toMove)] = stone === EMPTY ? FRAME_EMPTY : stone === toMove ? FRAME_OWN : FRAME_OPPONENT;
  }
}
