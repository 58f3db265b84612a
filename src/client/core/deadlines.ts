/** Deadlines share a grid, so that thousands of requests need one timer and one look per step. */
const STEP_MS = 25;

export const NEVER_MS = Number.POSITIVE_INFINITY;

/** The first point of the grid that is not before `atMs`. */
export function onGrid(atMs: number): number {
  return Math.ceil(atMs / STEP_MS) * STEP_MS;
}

/** What the server is told: whole milliseconds that are left, 0 = without limit. At least 1, since 0 would mean for ever. */
export function timeLeftForServer(deadlineMs: number, nowMs: number): number {
  if (deadlineMs === NEVER_MS) return 0;
  return Math.max(1, Math.min(MAX_UINT32, Math.floor(deadlineMs - nowMs)));
}

const MAX_UINT32 = 0xffff_ffff;
