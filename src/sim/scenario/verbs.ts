import { assertNever, LogIndex, NodeId } from "#kernel";
import { defaultRaftOptions, type MembershipChange } from "#raft";
import { parseExpectation } from "./expectations.ts";
import { MESSAGE_KINDS, parseMessageWords } from "./message-words.ts";
import type { Action, Holdable, OptionValues } from "./script.ts";
import type { Words } from "./words.ts";

export type VerbName = Action["kind"];

/** Every verb of the format and how the rest of its line reads. docs/scenarios.md explains each (a test compares). */
export const VERBS: Readonly<Record<VerbName, (words: Words) => Action>> = {
  voters: (words) => ({ kind: "voters", nodes: words.newNodes() }),
  outgoing: (words) => ({ kind: "outgoing", nodes: words.newNodes() }),
  learners: (words) => ({ kind: "learners", nodes: words.newNodes() }),
  outside: (words) => ({ kind: "outside", nodes: words.newNodes() }),
  absent: (words) => ({ kind: "absent", nodes: words.absentNodes() }),
  options: (words) => {
    const nodes = words.startsWithNode ? words.nodes() : null;
    return { kind: "options", nodes, values: optionValues(words) };
  },
  node: parseNode,
  timeout: (words) => ({ kind: "timeout", nodes: words.nodes(), ticks: words.number("ticks") }),
  seed: (words) => ({ kind: "seed", seed: words.number("seed") }),
  start: () => ({ kind: "start" }),
  tick: (words) => ({ kind: "tick", nodes: words.nodes(), times: words.optionalNumber(1) }),
  run: (words) => ({ kind: "run", rounds: words.optionalNumber(1) }),
  settle: (words) => ({ kind: "settle", nodes: words.peek === null ? null : words.nodes() }),
  deliver: (words) => ({ kind: "deliver", count: words.optionalNumber(Infinity), pattern: parseMessageWords(words) }),
  drop: (words) => ({ kind: "drop", pattern: parseMessageWords(words) }),
  block: (words) => ({ kind: "block", pattern: parseMessageWords(words) }),
  unblock: () => ({ kind: "unblock" }),
  hold: (words) => ({ kind: "hold", what: holdable(words) }),
  release: (words) => ({ kind: "release", what: holdable(words) }),
  cut: (words) => {
    const from = words.node();
    const oneWay = words.take("->");
    return { kind: "cut", from, to: words.node(), oneWay };
  },
  isolate: (words) => ({ kind: "isolate", nodes: words.nodes() }),
  heal: () => ({ kind: "heal" }),
  campaign: (words) => ({ kind: "campaign", nodes: words.nodes() }),
  propose: parsePropose,
  read: (words) => ({ kind: "read", node: words.node(), label: words.take("as") ? words.next("a label") : null }),
  receive: (words) => {
    const node = words.node();
    const message = MESSAGE_KINDS.find((kind) => kind === words.peek) ?? words.oneOf("message", MESSAGE_KINDS);
    const found = parseMessageWords(words);
    return { kind: "receive", node, from: found.from ?? words.unexpected('"from" and a node'), message, words: found };
  },
  persist: (words) => ({ kind: "persist", node: words.node(), batches: words.optionalNumber(Infinity) }),
  apply: (words) => ({ kind: "apply", node: words.node(), entries: words.optionalNumber(Infinity) }),
  install: (words) => ({ kind: "install", node: words.node() }),
  crash: (words) => ({ kind: "crash", nodes: words.nodes(), written: words.take("written") ? words.number("batches") : 0 }),
  restart: (words) => ({ kind: "restart", nodes: words.nodes() }),
  compact: (words) => ({ kind: "compact", node: words.node(), keep: words.take("keep") ? words.number("entries") : 0 }),
  disconnect: (words) => {
    const node = words.node();
    words.require("from");
    return { kind: "disconnect", node, peer: words.node() };
  },
  transfer: (words) => {
    const node = words.node();
    words.require("to");
    return { kind: "transfer", node, to: words.take("best") ? null : words.node() };
  },
  change: (words) => ({ kind: "change", node: words.node(), change: membershipChange(words) }),
  measure: (words) => {
    words.require("timeouts");
    words.require("of");
    const role = words.oneOf("role", ["follower", "candidate"]);
    const nodes = words.nodes();
    words.require("rounds");
    return { kind: "measure", role, nodes, rounds: words.number("rounds") };
  },
  expect: (words) => ({ kind: "expect", expectation: parseExpectation(words) }),
};

export const VERB_NAMES = Object.keys(VERBS) as readonly VerbName[];

function parseNode(words: Words): Extract<Action, { kind: "node" }> {
  const node = words.node();
  let log: readonly number[] = [];
  let term: number | null = null;
  let vote: NodeId | null = null;
  let snapshot: LogIndex | null = null;
  let suspect = false;
  while (words.peek !== null) {
    switch (words.oneOf("part of a node's disk", ["log", "term", "vote", "snapshot", "suspect"])) {
      case "log":
        log = words.terms("log");
        break;
      case "term":
        term = words.number("term");
        break;
      case "vote":
        vote = words.nodeOrNone();
        break;
      case "snapshot":
        snapshot = LogIndex(words.number("index"));
        break;
      case "suspect":
        suspect = true;
    }
  }
  return { kind: "node", node, log, term, vote, snapshot, suspect };
}

/** `propose n1 a b` is one batch of two commands; `propose n1 times 10 size 1000` is ten batches of one. */
function parsePropose(words: Words): Extract<Action, { kind: "propose" }> {
  const node = words.node();
  if (words.peek !== "times" && words.peek !== "size") {
    const commands = words.rest();
    if (commands.length === 0) words.unexpected("commands, or times and size");
    return { kind: "propose", node, batches: [commands] };
  }
  const times = words.take("times") ? words.number("times") : 1;
  const size = words.take("size") ? words.number("bytes") : 1;
  return { kind: "propose", node, batches: Array.from({ length: times }, () => ["x".repeat(size)]) };
}

/** `name=value`: what the value looks like follows from the default. */
function optionValues(words: Words): OptionValues {
  const values: Record<string, OptionValue> = {};
  if (words.peek === null) words.unexpected("name=value");
  while (words.peek !== null) {
    const [name = "", value = ""] = words.peek.split("=");
    if (!OPTION_NAMES.includes(name)) {
      words.oneOf(
        "option",
        OPTION_NAMES.map((known) => `${known}=`),
      );
    }
    values[name] = optionValue(words, name, value);
    words.next("option");
  }
  return values as OptionValues;
}

type OptionValue = number | boolean | ReadonlyMap<NodeId, number> | { readonly leaseMs: number } | null;

export const OPTION_NAMES: readonly string[] = Object.keys(defaultRaftOptions).filter((name) => name !== "leaderData");

function optionValue(words: Words, name: string, value: string): OptionValue {
  const standard = defaultRaftOptions[name as keyof typeof defaultRaftOptions];
  if (name === "leaseReads") {
    if (!/^(off|[1-9]\d*ms)$/.test(value)) words.unexpected("leaseReads=off or, for example, leaseReads=500ms");
    return value === "off" ? null : { leaseMs: Number.parseInt(value, 10) };
  }
  if (name === "priorities") {
    if (!/^[^:,]+:\d+(,[^:,]+:\d+)*$/.test(value)) words.unexpected("priorities such as priorities=n1:2,n2:1");
    return new Map(value.split(",").map((pair) => [NodeId(pair.split(":")[0]!), Number(pair.split(":")[1]!)]));
  }
  if (typeof standard === "boolean") {
    if (!/^(on|off)$/.test(value)) words.unexpected(`${name}=on or ${name}=off`);
    return value === "on";
  }
  if (!/^\d+$/.test(value)) words.unexpected(`${name}=number`);
  return Number(value);
}

function holdable(words: Words): Holdable {
  const thing = (["disk", "apply", "install"] as const).find((word) => word === words.peek);
  if (thing === undefined) return { kind: "messages", pattern: parseMessageWords(words) };
  words.next("what");
  return { kind: thing, nodes: words.nodes() };
}

function membershipChange(words: Words): MembershipChange {
  const kind = words.oneOf("change of membership", ["add", "promote", "demote", "remove", "replace"]);
  const node = words.node();
  switch (kind) {
    case "add":
      return { kind, node, promote: words.take("promote") };
    case "replace":
      words.require("by");
      return { kind, remove: node, add: words.node() };
    case "promote":
    case "demote":
    case "remove":
      return { kind, node };
    default:
      return assertNever(kind, "change of membership");
  }
}
