import type { Words } from "../../scenario/words.ts";
import type { Comparison, Range, Selector, SelectorTerm } from "./script.ts";

const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 };
const COMPARISONS = ["<=", ">=", "<", ">", "="] as const satisfies readonly Comparison[];

/** `750ms`, `7s`, `1.5m`, `24h`. */
export function duration(words: Words, what: string): number {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h)$/.exec(words.peek ?? "");
  if (match === null) return words.unexpected(`${what} (a duration such as 750ms, 7s, 10m or 24h)`);
  words.next(what);
  return Number(match[1]) * UNITS[match[2]!]!;
}

/** `3s`, or `3s..8s`. */
export function durations(words: Words, what: string): Range {
  const match = /^(.+)\.\.(.+)$/.exec(words.peek ?? "");
  if (match === null) {
    const onlyMs = duration(words, what);
    return { fromMs: onlyMs, toMs: onlyMs };
  }
  const [fromMs, toMs] = [match[1]!, match[2]!].map((text) => {
    const part = /^(\d+(?:\.\d+)?)(ms|s|m|h)$/.exec(text);
    return part === null ? null : Number(part[1]) * UNITS[part[2]!]!;
  });
  if (fromMs == null || toMs == null || toMs < fromMs) return words.unexpected(`${what} (a range such as 3s..8s)`);
  words.next(what);
  return { fromMs, toMs };
}

/** `3%`, as 0.03. */
export function share(words: Words, what: string): number {
  const match = /^(\d+(?:\.\d+)?)%$/.exec(words.peek ?? "");
  if (match === null || Number(match[1]) > 100) return words.unexpected(`${what} (a share such as 3%)`);
  words.next(what);
  return Number(match[1]) / 100;
}

export function decimal(words: Words, what: string): number {
  if (!/^\d+(\.\d+)?$/.test(words.peek ?? "")) return words.unexpected(`${what} (a number)`);
  return Number(words.next(what));
}

export function word(words: Words, what: string): string {
  if (!/^[A-Za-z][\w-]*$/.test(words.peek ?? "")) return words.unexpected(what);
  return words.next(what);
}

/** `<=`, and what a value is compared with. */
export function comparison(words: Words): Comparison {
  return words.oneOf("comparison", COMPARISONS);
}

/** The nodes and groups that the lines so far have named. */
export interface Known {
  readonly nodes: number;
  readonly groups: ReadonlySet<string>;
}

/** `n1 n4..n9 sick`, `random 3`, `all`. */
export function selector(words: Words, known: Known): Selector {
  const terms: SelectorTerm[] = [];
  for (let term = selectorTerm(words, known); term !== null; term = selectorTerm(words, known)) terms.push(term);
  if (terms.length === 0) return words.unexpected("nodes (n3, n4..n9, random 2, all, or a group)");
  return terms;
}

function selectorTerm(words: Words, known: Known): SelectorTerm | null {
  const text = words.peek;
  if (text === null) return null;
  if (words.take("all")) return { kind: "all" };
  if (words.take("random")) {
    const count = words.number("how many");
    if (count < 1 || count > known.nodes) words.fail(`random ${count}: there are ${known.nodes} nodes`);
    return { kind: "random", count };
  }
  if (words.take("relay-of")) return { kind: "relay-of", node: oneNode(words, known) };
  if (known.groups.has(text)) return { kind: "group", name: words.next("a group") };
  const match = /^n(\d+)(?:\.\.n(\d+))?$/.exec(text);
  if (match === null) return null;
  const from = Number(match[1]);
  const to = Number(match[2] ?? match[1]);
  if (from < 1 || to < from || to > known.nodes) words.fail(`${text}: the nodes are n1 to n${known.nodes}`);
  words.next("a node");
  return { kind: "nodes", from: from - 1, to: to - 1 };
}

function oneNode(words: Words, known: Known): number {
  const node = Number(/^n(\d+)$/.exec(words.peek ?? "")?.[1] ?? 0);
  if (node < 1 || node > known.nodes) return words.unexpected(`one node, n1 to n${known.nodes}`);
  words.next("a node");
  return node - 1;
}
