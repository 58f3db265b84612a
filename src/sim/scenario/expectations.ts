import { assertNever, type NodeId } from "#kernel";
import { MESSAGE_FIELDS, MESSAGE_KINDS, type MessageWords, parseMessageWords } from "./message-words.ts";
import type { Words } from "./words.ts";

export type Expectation =
  | { readonly form: "facts"; readonly nodes: readonly NodeId[]; readonly facts: readonly ExpectedFact[] }
  /** Exactly these nodes lead. */
  | { readonly form: "leader"; readonly nodes: readonly NodeId[] }
  | { readonly form: "one leader" }
  /** Exactly these voted for the node in the node's own term, and it is on their disks. */
  | { readonly form: "votes"; readonly candidate: NodeId; readonly voters: readonly NodeId[] }
  /** Sent since the last step; `count` null = at least once. */
  | { readonly form: "sent"; readonly count: number | null; readonly pattern: MessageWords }
  | { readonly form: "accepted"; readonly count: number | null }
  | { readonly form: "refused"; readonly count: number | null; readonly reason: string }
  | { readonly form: "read"; readonly label: string; readonly state: string }
  | { readonly form: "mark"; readonly node: NodeId; readonly mark: string; readonly occurs: boolean }
  | { readonly form: "timeouts"; readonly nodes: readonly NodeId[]; readonly test: TimeoutTest };

export type TimeoutTest =
  | { readonly kind: "cover"; readonly from: number; readonly through: number }
  /** The share of rounds in which the timeout had passed after `ticks`, within five points. */
  | { readonly kind: "by"; readonly ticks: number; readonly share: number }
  /** The share of rounds in which more than one node was the first to time out. */
  | { readonly kind: "ties"; readonly atMost: number };

export interface ExpectedFact {
  readonly name: FactName;
  /** Of whose log the leader is asked (`match n2 5`). */
  readonly peer: NodeId | null;
  readonly comparison: "=" | "<" | "<=" | ">" | ">=" | "not";
  readonly value: string;
}

export type FactName = keyof typeof FACTS;

/** What can be said of a node, and what its value looks like. */
export const FACTS = {
  leader: "role",
  follower: "role",
  candidate: "role",
  preCandidate: "role",
  not: "role",
  up: "bare",
  down: "bare",
  fatal: "text",
  term: "number",
  vote: "node",
  knows: "node",
  commit: "number",
  last: "number",
  base: "number",
  applied: "number",
  delivered: "number",
  log: "terms",
  durable: "terms",
  commands: "list",
  voters: "list",
  outgoing: "list",
  learners: "list",
  learnersNext: "list",
  promoting: "list",
  transferee: "node",
  suspect: "bare",
  match: "peer number",
  next: "peer number",
  progress: "peer word",
  active: "peer",
  silent: "peer",
} as const;

const ROLES = ["leader", "follower", "candidate", "preCandidate"] as const;
export const EXPECT_FORMS = ["leader", "one", "no", "votes", "sent", "accepted", "refused", "read", "mark", "timeouts"] as const;

export function parseExpectation(words: Words): Expectation {
  if (words.startsWithNode) return parseFacts(words);
  const form = words.oneOf("expectation (or node)", EXPECT_FORMS);
  switch (form) {
    case "leader":
      return { form: "leader", nodes: words.nodes() };
    case "one":
      words.require("leader");
      return { form: "one leader" };
    case "no":
      return parseNothing(words);
    case "votes": {
      words.require("for");
      const candidate = words.node();
      words.require("from");
      return { form: "votes", candidate, voters: words.take("none") ? [] : words.nodes() };
    }
    case "sent": {
      const count = words.optionalNumber(-1);
      return { form: "sent", count: count < 0 ? null : count, pattern: parseMessageWords(words) };
    }
    case "accepted": {
      const count = words.optionalNumber(-1);
      return { form: "accepted", count: count < 0 ? null : count };
    }
    case "refused": {
      const count = words.optionalNumber(-1);
      return { form: "refused", count: count < 0 ? null : count, reason: words.next("a reason such as NOT_LEADER") };
    }
    case "read":
      return { form: "read", label: words.next("the read's label"), state: readState(words) };
    case "mark":
      return { form: "mark", node: words.node(), mark: words.next("a mark"), occurs: true };
    case "timeouts":
      return parseTimeouts(words);
    default:
      return assertNever(form, "form of expectation");
  }
}

function parseFacts(words: Words): Expectation {
  const nodes = words.nodes();
  const facts: ExpectedFact[] = [];
  do {
    const name = words.oneOf("fact about a node", Object.keys(FACTS) as readonly FactName[]);
    facts.push(parseFact(words, name));
  } while (words.peek !== null);
  return { form: "facts", nodes, facts };
}

function parseFact(words: Words, name: FactName): ExpectedFact {
  const shape = FACTS[name];
  switch (shape) {
    case "role":
      return name === "not"
        ? { name, peer: null, comparison: "not", value: words.oneOf("role", ROLES) }
        : { name, peer: null, comparison: "=", value: name };
    case "bare":
      return { name, peer: null, comparison: "=", value: name };
    case "text":
      return { name, peer: null, comparison: "=", value: words.next("a part of the error's text") };
    case "number":
      return { name, peer: null, ...comparedNumber(words, name) };
    case "node":
      return { name, peer: null, comparison: "=", value: words.nodeOrNone() ?? "none" };
    case "terms":
      return { name, peer: null, comparison: "=", value: words.terms(name).join(",") || "none" };
    case "list":
      return { name, peer: null, comparison: "=", value: words.next("names separated by commas, or none") };
    case "peer number":
      return { name, peer: words.node(), ...comparedNumber(words, name) };
    case "peer word":
      return { name, peer: words.node(), comparison: "=", value: words.oneOf("state", ["probe", "replicate", "snapshot"]) };
    case "peer":
      return { name, peer: words.node(), comparison: "=", value: name };
    default:
      return assertNever(shape, "shape of a fact");
  }
}

function comparedNumber(words: Words, what: string): Pick<ExpectedFact, "comparison" | "value"> {
  const match = /^(<=|>=|<|>)?(\d+)$/.exec(words.peek ?? "");
  if (match === null) words.unexpected(`${what} (a number, or <, <=, > or >= and a number)`);
  words.next(what);
  return { comparison: (match[1] ?? "=") as ExpectedFact["comparison"], value: match[2]! };
}

function parseNothing(words: Words): Expectation {
  if (words.take("leader")) return { form: "leader", nodes: [] };
  if (words.take("mark")) return { form: "mark", node: words.node(), mark: words.next("a mark"), occurs: false };
  if (!["message", ...MESSAGE_KINDS, ...MESSAGE_FIELDS].includes(words.peek ?? "")) {
    words.oneOf("thing to be absent", ["leader", "mark", "message", ...MESSAGE_KINDS]);
  }
  return { form: "sent", count: 0, pattern: parseMessageWords(words) };
}

function readState(words: Words): string {
  switch (words.oneOf("state of a read", ["at", "waits", "refused"])) {
    case "at":
      return `at ${words.number("index")}`;
    case "waits":
      return "waits";
    case "refused":
      return words.peek === null ? "refused" : `refused ${words.next("a reason")}`;
    default:
      return words.unexpected("a state of a read");
  }
}

function parseTimeouts(words: Words): Expectation {
  if (words.take("ties")) {
    words.require("<=");
    return { form: "timeouts", nodes: [], test: { kind: "ties", atMost: percent(words) } };
  }
  const nodes = words.nodes();
  if (words.take("cover")) {
    const from = words.number("ticks");
    words.require("to");
    return { form: "timeouts", nodes, test: { kind: "cover", from, through: words.number("ticks") } };
  }
  words.require("by");
  const ticks = words.number("ticks");
  return { form: "timeouts", nodes, test: { kind: "by", ticks, share: percent(words) } };
}

function percent(words: Words): number {
  if (!/^\d+%$/.test(words.peek ?? "")) words.unexpected("a share such as 30%");
  return Number.parseInt(words.next("a share"), 10) / 100;
}
