import { CELLS, DIRECTIONS, NEIGHBOURS, SIZE } from "../game/board.ts";
import { FRAME_EMPTY, FRAME_OPPONENT, FRAME_OWN } from "../game/symmetry.ts";

/**
 * What the network sees of each empty cell, as indices of features that are 1 (all others are 0):
 * the stones within two steps, where the cell lies, and how many stones longer than the shortest connection each player's
 * best connection through the cell is. Beyond an own edge lie own stones, beyond a foreign edge foreign ones.
 */
export interface Encoding {
  /** How many empty cells; the arrays below are filled that far. */
  cellCount: number;
  readonly cells: Int8Array;
  /** Features of cell i: active[i * MAX_ACTIVE] … active[i * MAX_ACTIVE + activeCount[i] - 1]. */
  readonly active: Int16Array;
  readonly activeCount: Int8Array;
  /** Stones that each player still needs along a shortest connection; at most SIZE. */
  ownDistance: number;
  opponentDistance: number;
}

const REACH: readonly (readonly [number, number])[] = reachOfTwo();
const SLACK_LEVELS = 5;
const AT_CELL = REACH.length * 2;
const AT_SLACK = AT_CELL + CELLS / 2;
export const FEATURES = AT_SLACK + SLACK_LEVELS * SLACK_LEVELS;
export const MAX_ACTIVE = REACH.length + 2;
/** Rows of the value table: one for each pair of distances. */
export const DISTANCE_PAIRS = (SIZE + 1) * (SIZE + 1);

export function newEncoding(): Encoding {
  return {
    cellCount: 0,
    cells: new Int8Array(CELLS),
    active: new Int16Array(CELLS * MAX_ACTIVE),
    activeCount: new Int8Array(CELLS),
    ownDistance: 0,
    opponentDistance: 0,
  };
}

/** `frame` is a position in the frame of the player to move (see `writeFrame`); nobody may have won. */
export function encode(frame: Int8Array, into: Encoding): void {
  distancesFrom(frame, FRAME_OWN, TOP, fromTop);
  distancesFrom(frame, FRAME_OWN, BOTTOM, fromBottom);
  distancesFrom(frame, FRAME_OPPONENT, LEFT, fromLeft);
  distancesFrom(frame, FRAME_OPPONENT, RIGHT, fromRight);
  const own = shortest(frame, fromTop, fromBottom);
  const opponent = shortest(frame, fromLeft, fromRight);
  into.ownDistance = Math.min(own, SIZE);
  into.opponentDistance = Math.min(opponent, SIZE);
  let count = 0;
  for (let cell = 0; cell < CELLS; cell++) {
    if (frame[cell] !== FRAME_EMPTY) continue;
    into.cells[count] = cell;
    let at = count * MAX_ACTIVE;
    const around = REACHED[cell]!;
    for (let i = 0; i < around.length; i++) {
      const stone = stoneAt(frame, around[i]!);
      if (stone !== FRAME_EMPTY) into.active[at++] = i * 2 + stone - 1;
    }
    into.active[at++] = AT_CELL + Math.min(cell, CELLS - 1 - cell);
    // The cell itself is counted from both sides, hence the - 1.
    const ownSlack = Math.min(fromTop[cell]! + fromBottom[cell]! - 1 - own, SLACK_LEVELS - 1);
    const opponentSlack = Math.min(fromLeft[cell]! + fromRight[cell]! - 1 - opponent, SLACK_LEVELS - 1);
    into.active[at++] = AT_SLACK + ownSlack * SLACK_LEVELS + opponentSlack;
    into.activeCount[count] = at - count * MAX_ACTIVE;
    count++;
  }
  into.cellCount = count;
}

function stoneAt(frame: Int8Array, reached: number): number {
  if (reached >= 0) return frame[reached]!;
  return reached === OWN_EDGE ? FRAME_OWN : FRAME_OPPONENT;
}

const UNREACHABLE = 100;

/**
 * Stones needed to join each cell to an edge, the cell itself included (its own stones cost nothing): a search over a
 * deque, since every step costs 0 or 1.
 */
function distancesFrom(frame: Int8Array, stone: number, edge: readonly number[], distance: Int16Array): void {
  distance.fill(UNREACHABLE);
  let head = MIDDLE;
  let tail = MIDDLE;
  for (const cell of edge) {
    const there = frame[cell]!;
    if (there === stone) {
      distance[cell] = 0;
      deque[--head] = cell;
    } else if (there === FRAME_EMPTY) {
      distance[cell] = 1;
      deque[tail++] = cell;
    }
  }
  while (head < tail) {
    const cell = deque[head++]!;
    const so = distance[cell]!;
    const neighbours = NEIGHBOURS[cell]!;
    for (let i = 0; i < neighbours.length; i++) {
      const next = neighbours[i]!;
      const there = frame[next]!;
      if (there === stone) {
        if (so < distance[next]!) {
          distance[next] = so;
          deque[--head] = next;
        }
      } else if (there === FRAME_EMPTY && so + 1 < distance[next]!) {
        distance[next] = so + 1;
        deque[tail++] = next;
      }
    }
  }
}

function shortest(frame: Int8Array, low: Int16Array, high: Int16Array): number {
  let best = UNREACHABLE;
  for (let cell = 0; cell < CELLS; cell++) {
    const through = low[cell]! + high[cell]! - (frame[cell] === FRAME_EMPTY ? 1 : 0);
    if (through < best) best = through;
  }
  return best;
}

/** The 18 cells at one or two steps, as offsets; opposite offsets need not be neighbours in the list. */
function reachOfTwo(): [number, number][] {
  const found = new Map<string, [number, number]>();
  for (const [ar, ac] of DIRECTIONS) {
    found.set(`${ar},${ac}`, [ar, ac]);
    for (const [br, bc] of DIRECTIONS) found.set(`${ar + br},${ac + bc}`, [ar + br, ac + bc]);
  }
  found.delete("0,0");
  return [...found.values()];
}

const OWN_EDGE = -1;
const OPPONENT_EDGE = -2;
const REACHED: readonly Int8Array[] = Array.from({ length: CELLS }, (_, cell) =>
  Int8Array.from(
    REACH.map(([dr, dc]) => {
      const row = (cell >> 3) + dr;
      const column = (cell & 7) + dc;
      if (row < 0 || row >= SIZE) return OWN_EDGE;
      return column < 0 || column >= SIZE ? OPPONENT_EDGE : row * SIZE + column;
    }),
  ),
);

const TOP = Array.from({ length: SIZE }, (_, i) => i);
const BOTTOM = TOP.map((i) => CELLS - SIZE + i);
const LEFT = TOP.map((i) => i * SIZE);
const RIGHT = TOP.map((i) => i * SIZE + SIZE - 1);
const MIDDLE = CELLS * 8;
const deque = new Int8Array(CELLS * 16);
const fromTop = new Int16Array(CELLS);
const fromBottom = new Int16Array(CELLS);
const fromLeft = new Int16Array(CELLS);
const fromRight = new Int16Array(CELLS);
