import { assertNever } from "#kernel";
import type { Words } from "../../scenario/words.ts";
import { METRIC_NAMES, METRICS } from "../metrics.ts";
import type { Action, Expectation, Sight, StateKept, Statistic, Step } from "./script.ts";
import { comparison, decimal, duration, durations, type Known, selector, share, word } from "./values.ts";

const ACTIONS = [
  "kill",
  "crash",
  "start",
  "restart",
  "leave",
  "duplicate",
  "move",
  "announce",
  "pause",
  "block",
  "starve",
  "partition",
  "cut",
  "drop",
  "lose",
  "slow",
  "drift",
  "install-key",
  "use-key",
  "remove-key",
  "forget",
  "expect",
] as const;
const STATISTICS = ["p50", "p90", "p99", "max", "min", "mean", "total", "count"] as const satisfies readonly Statistic[];
const DEFAULT_STARVATION = { fromMs: 500, toMs: 2_500 };

/** `at 10s every 60s times 20 restart random 1 down 3s..8s losing state`. */
export function parseStep(words: Words, known: Known, planes: readonly string[]): Step {
  const { line, text } = words;
  const { fromMs, toMs } = durations(words, "when");
  const everyMs = words.take("every") ? duration(words, "how often") : null;
  if (everyMs !== null && everyMs <= 0) words.fail("every 0ms would never end");
  const times = everyMs === null ? 1 : words.take("times") ? words.number("how many times") : Number.POSITIVE_INFINITY;
  return { line, text, fromMs, toMs, everyMs, times, action: parseAction(words, known, planes) };
}

function parseAction(words: Words, known: Known, planes: readonly string[]): Action {
  const kind = words.oneOf("action", ACTIONS);
  const of = (): ReturnType<typeof selector> => selector(words, known);
  switch (kind) {
    case "kill":
    case "crash":
    case "leave":
    case "duplicate":
    case "move":
      return { kind, of: of() };
    case "start":
      return { kind, of: of(), state: stateKept(words), moved: words.take("moved"), keys: keysGiven(words) };
    case "announce": {
      const nodes = of();
      words.require("on");
      const told = [words.oneOf("network", planes)];
      while (words.peek !== null) told.push(words.oneOf("network", planes));
      return { kind, of: nodes, planes: told };
    }
    case "restart": {
      const nodes = of();
      words.require("down");
      return {
        kind,
        of: nodes,
        down: durations(words, "how long it is down"),
        state: stateKept(words),
        moved: words.take("moved"),
      };
    }
    case "pause":
    case "block":
      return { kind, of: of(), forMs: duringMs(words) };
    case "starve": {
      const nodes = of();
      const by = words.take("by") ? durations(words, "how late it reads") : DEFAULT_STARVATION;
      return { kind, of: nodes, by, forMs: duringMs(words) };
    }
    case "partition": {
      const nodes = of();
      return { kind, of: nodes, from: words.take("from") ? of() : null, forMs: duringMs(words) };
    }
    case "cut": {
      const nodes = of();
      words.require("to");
      return { kind, of: nodes, to: of(), forMs: duringMs(words) };
    }
    case "drop": {
      if (words.take("udp")) return { kind: "drop udp", of: of(), forMs: duringMs(words) };
      const plane = words.oneOf("network (or udp)", planes);
      return { kind: "drop plane", plane, of: of(), forMs: duringMs(words) };
    }
    case "lose": {
      const chance = share(words, "loss");
      return { kind, chance, of: of(), forMs: duringMs(words) };
    }
    case "slow": {
      const nodes = of();
      words.require("by");
      return { kind, of: nodes, byMs: duration(words, "how much slower"), forMs: duringMs(words) };
    }
    case "drift": {
      const nodes = of();
      const rate = decimal(words, "the rate of the clock");
      if (rate < 0.5 || rate > 2) words.fail(`a clock of rate ${rate}: from 0.5 to 2`);
      return { kind, of: nodes, rate };
    }
    case "install-key":
    case "use-key":
    case "remove-key":
      return { kind: "key", command: kind, key: word(words, "the name of a key"), of: of() };
    case "forget": {
      const nodes = of();
      words.require("by");
      return { kind, of: nodes, by: of() };
    }
    case "expect": {
      const observers = of();
      words.require("see");
      return { kind: "see", observers, of: of(), sight: sight(words) };
    }
    default:
      return assertNever(kind, "action");
  }
}

function stateKept(words: Words): StateKept {
  if (words.take("keeping")) {
    words.require("state");
    return "kept";
  }
  if (!words.take("losing")) return "kept";
  words.require("state");
  return words.take("by-half") ? "lost by half" : "lost";
}

/** `with-keys k2 k1`. */
function keysGiven(words: Words): readonly string[] | null {
  if (!words.take("with-keys")) return null;
  const keys = [word(words, "the name of a key")];
  while (words.peek !== null) keys.push(word(words, "the name of a key"));
  return keys;
}

function duringMs(words: Words): number | null {
  return words.take("for") ? duration(words, "for how long") : null;
}

function sight(words: Words): Sight {
  const state = words.oneOf("state", ["running", "alive", "suspect", "dead", "left", "removed", "absent"]);
  const reach = words.take("by") ? words.oneOf("path", ["direct", "stream", "relay"]) : null;
  return { state, reach };
}

/** `expect known-everywhere p99 <= 10s`, `expect packets-per-node-minute of n36 <= 120 from 0s to 60m`. */
export function parseExpectation(words: Words, known: Known): Expectation {
  const { line, text } = words;
  const metric = words.oneOf("metric", METRIC_NAMES);
  const { kind, unit } = METRICS[metric];
  const statistic = STATISTICS.find((each) => words.take(each)) ?? null;
  if (kind === "samples" && statistic === null) words.unexpected(`a statistic of ${metric} (${STATISTICS.join(", ")})`);
  if (kind !== "samples" && statistic !== null && statistic !== "mean" && statistic !== "total") {
    words.fail(`${metric} is one number a run: only mean and total are taken of it`);
  }
  const of = words.take("of") ? selector(words, known) : null;
  const canBeOf = kind === "traffic" || metric === "suspicion-cleared";
  if (of !== null && (!canBeOf || of.some((term) => term.kind === "random" || term.kind === "relay-of")))
    words.fail(`${metric} cannot be asked of nodes that way`);
  const compared = comparison(words);
  const value = unit === "ms" && statistic !== "count" ? duration(words, "a duration") : decimal(words, "a number");
  const fromMs = words.take("from") ? duration(words, "from when") : null;
  const toMs = words.take("to") ? duration(words, "to when") : null;
  if ((fromMs !== null || toMs !== null) && kind === "count") words.fail(`${metric} is of the whole run`);
  return { line, text, metric, statistic, comparison: compared, value, of, fromMs, toMs };
}
