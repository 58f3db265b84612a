/** One operation on one object. States are strings, so that they can be remembered. */
export interface Step {
  readonly calledMs: number;
  /** Infinity: it may have happened at any time after its call, or never. */
  readonly returnedMs: number;
  /** The state after it; null when what was answered cannot be answered in this state. */
  readonly apply: (state: string) => string | null;
}

export type Verdict = "linearizable" | "violation" | "unknown";

/**
 * Is there an order of the operations that respects real time and that the model allows? Wing and Gong's search with Lowe's
 * memory of (done, state). "unknown" when `budget` configurations were not enough.
 */
export function search(steps: readonly Step[], initial: string, budget = 200_000): Verdict {
  const byCall = steps.toSorted((a, b) => a.calledMs - b.calledMs);
  const required = byCall.filter(({ returnedMs }) => returnedMs !== Number.POSITIVE_INFINITY);
  const optional = byCall.filter(({ returnedMs }) => returnedMs === Number.POSITIVE_INFINITY);
  const seen = new Set<string>();
  const open: Node[] = [{ base: 0, ahead: [], used: [], state: initial }];
  for (let node = open.pop(); node !== undefined; node = open.pop()) {
    if (node.base === required.length) return "linearizable";
    if (seen.size >= budget) return "unknown";
    // The likeliest one, which returned first, is looked at first: it goes on top.
    for (const next of successors(node, required, optional).toReversed()) {
      const key = `${next.base} ${next.ahead.join()} ${next.used.join()} ${next.state}`;
      if (seen.has(key)) continue;
      seen.add(key);
      open.push(next);
    }
  }
  return "violation";
}

/** All required steps before `base` are done, and those at `ahead`; of the optional ones those at `used`. */
interface Node {
  readonly base: number;
  readonly ahead: readonly number[];
  readonly used: readonly number[];
  readonly state: string;
}

/** What may come next: whatever was called before the first of the others has returned. */
function successors(node: Node, required: readonly Step[], optional: readonly Step[]): Node[] {
  const { base, ahead, used, state } = node;
  let firstReturnMs = Number.POSITIVE_INFINITY;
  const candidates: number[] = [];
  for (let at = base; at < required.length && required[at]!.calledMs <= firstReturnMs; at += 1) {
    if (ahead.includes(at)) continue;
    candidates.push(at);
    firstReturnMs = Math.min(firstReturnMs, required[at]!.returnedMs);
  }
  const next: Node[] = [];
  for (const at of candidates.sort((a, b) => required[a]!.returnedMs - required[b]!.returnedMs)) {
    if (required[at]!.calledMs > firstReturnMs) continue;
    const after = required[at]!.apply(state);
    if (after !== null) next.push({ ...doneWith(base, ahead, at), used, state: after });
  }
  for (const [at, step] of optional.entries()) {
    if (step.calledMs > firstReturnMs || used.includes(at)) continue;
    const after = step.apply(state);
    if (after !== null && after !== state) next.push({ base, ahead, used: [...used, at].sort((a, b) => a - b), state: after });
  }
  return next;
}

function doneWith(base: number, ahead: readonly number[], at: number): Pick<Node, "base" | "ahead"> {
  if (at !== base) return { base, ahead: [...ahead, at].sort((a, b) => a - b) };
  let next = base + 1;
  let rest = ahead;
  while (rest[0] === next) {
    rest = rest.slice(1);
    next += 1;
  }
  return { base: next, ahead: rest };
}
