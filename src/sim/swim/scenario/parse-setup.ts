import type { Words } from "../../scenario/words.ts";
import type { Draft, ScriptOverrides } from "./parse.ts";
import { type Delay, type Selector, START_KINDS } from "./script.ts";
import { decimal, duration, type Known, selector, share, word } from "./values.ts";

export const SETUP_WORDS = [
  "nodes",
  "profile",
  "set",
  "delay",
  "loss",
  "duplicates",
  "streams",
  "planes",
  "group",
  "absent",
  "seeds",
  "nat",
  "label",
  "keys",
  "announces",
  "start",
  "settle",
  "run",
] as const;
export type SetupWord = (typeof SETUP_WORDS)[number];

/** Statements about the cluster and its network, before anything happens. */
export function parseSetup(first: SetupWord, words: Words, known: Known, draft: Draft, overrides: ScriptOverrides): void {
  const { network } = draft;
  switch (first) {
    case "nodes": {
      const nodes = words.number("how many nodes");
      if (nodes < 1 || nodes > 20_000) words.fail(`nodes ${nodes}: from 1 to 20000`);
      draft.nodes = overrides.nodes ?? nodes;
      return;
    }
    case "profile":
      draft.profile = pick(overrides.profile, words.next("a profile"));
      return;
    case "set":
      draft.settings = [...draft.settings, setting(words, known)];
      return;
    case "delay":
      draft.network = { ...network, delay: delay(words) };
      return;
    case "loss":
      draft.network = { ...network, lossChance: share(words, "loss") };
      return;
    case "duplicates":
      draft.network = { ...network, duplicateChance: share(words, "duplicates") };
      return;
    case "streams":
      draft.network = { ...network, streams: words.oneOf("kind of streams", ["delayed", "lossless"]) };
      return;
    case "planes":
      draft.network = { ...network, planes: names(words, "the name of a network") };
      return;
    case "group": {
      const name = word(words, "the group's name");
      if (/^n\d+$/.test(name) || RESERVED.has(name)) words.fail(`a group cannot be called "${name}"`);
      draft.groups = new Map([...draft.groups, [name, selector(words, known)]]);
      return;
    }
    case "absent":
      draft.absent = selector(words, known);
      checkStart(words, draft);
      return;
    case "seeds":
      draft.seeds = selector(words, known);
      return;
    case "nat": {
      const of = selector(words, known);
      words.require("mapping");
      const mappingMs = duration(words, "how long a mapping lives");
      const endpointDependent = !words.take("shared");
      draft.nats = [...draft.nats, { of, mappingMs, endpointDependent }];
      return;
    }
    case "label":
      draft.labels = [...draft.labels, { names: [word(words, "a label")], of: everyoneOr(words, known) }];
      return;
    case "keys": {
      const keys = [word(words, "the name of a key")];
      while (words.peek !== null && words.peek !== "for") keys.push(word(words, "the name of a key"));
      draft.keys = [...draft.keys, { names: keys, of: everyoneOr(words, known) }];
      return;
    }
    case "announces": {
      const planes = [words.oneOf("network", network.planes)];
      while (words.peek !== null && words.peek !== "for") planes.push(words.oneOf("network", network.planes));
      draft.announcements = [...draft.announcements, { planes, of: everyoneOr(words, known) }];
      return;
    }
    case "start":
      draft.start = words.oneOf("way to start", START_KINDS);
      checkStart(words, draft);
      return;
    case "settle":
      draft.settleMs = duration(words, "how long the cluster settles");
      return;
    case "run":
      draft.runMs = duration(words, "how long the run is");
      return;
  }
}

function checkStart(words: Words, { start, absent }: Draft): void {
  if (start === "warm" && absent.length > 0) words.fail('"start warm" and "absent": whoever is absent would be held alive');
}

/** `set buddy off`, `set periodMs 750ms for n1..n3`. */
function setting(words: Words, known: Known): Draft["settings"][number] {
  const option = word(words, "an option");
  const value = words.take("on") ? true : words.take("off") ? false : numberOrDuration(words);
  return { line: words.line, option, value, of: everyoneOr(words, known) };
}

function numberOrDuration(words: Words): number {
  return /^\d+(\.\d+)?$/.test(words.peek ?? "") ? decimal(words, "a value") : duration(words, "a value");
}

function everyoneOr(words: Words, known: Known): Selector {
  return words.take("for") ? selector(words, known) : [{ kind: "all" }];
}

/** `delay uniform 10ms 40ms`, `delay per-link lognormal 25ms 0.5`. */
function delay(words: Words): Delay {
  const perLink = words.take("per-link");
  const kind = words.oneOf("kind of delay", ["uniform", "lognormal", "fixed"]);
  const firstMs = duration(words, "a delay");
  if (kind === "fixed") return { kind: "uniform", perLink, fromMs: firstMs, toMs: firstMs };
  if (kind === "lognormal") return { kind, perLink, medianMs: firstMs, sigma: decimal(words, "sigma") };
  const toMs = duration(words, "the longest delay");
  if (toMs < firstMs) words.fail("the longest delay is shorter than the shortest");
  return { kind, perLink, fromMs: firstMs, toMs };
}

function names(words: Words, what: string): readonly string[] {
  const found = [word(words, what)];
  while (words.peek !== null) found.push(word(words, what));
  return found;
}

function pick(override: string | null, own: string): string {
  return override ?? own;
}

/** Words that would make a line ambiguous if a group were called so. */
const RESERVED: ReadonlySet<string> = new Set([
  "all",
  "random",
  "from",
  "to",
  "for",
  "by",
  "at",
  "mapping",
  "see",
  "is",
  "moved",
]);
