import { assertNever, type NodeId } from "#kernel";
import type { Expectation, ExpectedFact, TimeoutTest } from "./expectations.ts";
import { matchesWords, patternText } from "./message-words.ts";
import type { ScenarioNode } from "./node.ts";
import type { World } from "./world.ts";

/** Null when the expectation holds, else what is there instead, in one sentence. */
export function check(world: World, expectation: Expectation): string | null {
  switch (expectation.form) {
    case "facts":
      return checkFacts(world, expectation.nodes, expectation.facts);
    case "leader":
      return differs("who leads", names(leaders(world)), names(expectation.nodes));
    case "one leader": {
      const found = leaders(world);
      return found.length === 1 ? null : `expected one leader, but there are ${found.length}: ${names(found)}`;
    }
    case "votes":
      return differs(
        `votes for ${expectation.candidate}`,
        names(votersFor(world, expectation.candidate)),
        names(expectation.voters),
      );
    case "sent": {
      const { count, pattern } = expectation;
      const found = world.sent.filter((message) => matchesWords(pattern, message)).length;
      const holds = count === null ? found > 0 : found === count;
      return holds
        ? null
        : `expected ${count ?? "at least one"} "${patternText(pattern)}" since the last step, but ${found} left`;
    }
    case "accepted":
      return checkOutcomes("accepted", world.outcomes.filter(({ ok }) => ok).length, world.outcomes.length, expectation.count);
    case "refused":
      return checkRefused(world, expectation);
    case "read":
      return checkRead(world, expectation);
    case "mark": {
      const found = world.marks.some(({ node, mark }) => node === expectation.node && mark.includes(expectation.mark));
      if (found === expectation.occurs) return null;
      return `expected ${expectation.occurs ? "a" : "no"} mark "${expectation.mark}" of ${expectation.node}, but the last step left: ${
        world.marks.map(({ node, mark }) => `${node} "${mark}"`).join(", ") || "none"
      }`;
    }
    case "timeouts":
      return checkTimeouts(world, expectation.nodes, expectation.test);
    default:
      return assertNever(expectation, "expectation");
  }
}

function checkFacts(world: World, nodes: readonly NodeId[], facts: readonly ExpectedFact[]): string | null {
  for (const id of nodes) {
    const node = world.node(id);
    for (const fact of facts) {
      const problem = checkFact(node, fact);
      if (problem !== null) return `${problem}; ${describe(node)}`;
    }
  }
  return null;
}

function checkFact(node: ScenarioNode, fact: ExpectedFact): string | null {
  const { name, peer, comparison, value } = fact;
  if (name === "fatal") {
    const message = node.fatal?.message ?? null;
    return message?.includes(value) === true
      ? null
      : `expected ${node.id} to stop with "${value}", but ${message ?? "it did not stop"}`;
  }
  if (name === "up" || name === "down") {
    return node.isUp === (name === "up") ? null : `expected ${node.id} ${name}`;
  }
  if (!node.isUp && name !== "durable" && name !== "commands") return `expected ${node.id} ${name} ${value}, but it is down`;
  const actual = factOf(node, name, peer);
  if (holds(actual, comparison, value)) return null;
  const subject = `${node.id} ${ROLE_NAMES.has(name) ? "role" : name}${peer === null ? "" : ` ${peer}`}`;
  return `expected ${subject} ${comparison === "=" ? "" : comparison}${comparison === "not" ? " " : ""}${value}, but it is ${actual}`;
}

const ROLE_NAMES: ReadonlySet<string> = new Set(["leader", "follower", "candidate", "preCandidate", "not"]);

function factOf(node: ScenarioNode, name: Exclude<ExpectedFact["name"], "fatal" | "up" | "down">, peer: NodeId | null): string {
  const status = node.status;
  const progress = peer === null ? undefined : status?.progress?.get(peer);
  switch (name) {
    case "leader":
    case "follower":
    case "candidate":
    case "preCandidate":
    case "not":
      return status?.role ?? "down";
    case "term":
      return String(status?.term);
    case "vote":
      return status?.votedFor ?? "none";
    case "knows":
      return status?.leader ?? "none";
    case "commit":
      return String(status?.commitIndex);
    case "last":
      return String(status?.lastIndex);
    case "base":
      return String(node.baseIndex);
    case "applied":
      return String(status?.appliedIndex);
    case "delivered":
      return String(node.delivered);
    case "log":
      return logText(node);
    case "durable":
      return node.disk.entries.map((entry) => entry.term).join(",") || "none";
    case "commands":
      return node.commands.join(",") || "none";
    case "voters":
    case "learners":
    case "learnersNext":
    case "promoting":
      return names(status?.configuration[name] ?? []);
    case "outgoing":
      return names(status?.configuration.votersOutgoing ?? []);
    case "suspect":
      return status?.suspect === true ? "suspect" : "not suspect";
    case "transferee":
      return status?.transferee ?? "none";
    case "match":
      return String(progress?.matchIndex ?? "unknown");
    case "next":
      return String(progress?.nextIndex ?? "unknown");
    case "progress":
      return progress?.state ?? "unknown";
    case "active":
    case "silent":
      return progress === undefined ? "unknown" : progress.recentlyActive ? "active" : "silent";
    default:
      return assertNever(name, "fact");
  }
}

function holds(actual: string, comparison: ExpectedFact["comparison"], value: string): boolean {
  switch (comparison) {
    case "=":
      return actual === (/^[A-Za-z].*,/.test(value) ? names(value.split(",")) : value) || actual === value;
    case "not":
      return actual !== value;
    case "<":
      return Number(actual) < Number(value);
    case "<=":
      return Number(actual) <= Number(value);
    case ">":
      return Number(actual) > Number(value);
    case ">=":
      return Number(actual) >= Number(value);
    default:
      return assertNever(comparison, "comparison");
  }
}

function describe(node: ScenarioNode): string {
  const { status, id } = node;
  if (status === null) return `${id} is down`;
  const { role, term, votedFor, leader, commitIndex } = status;
  return `${id}: ${role} term ${term} vote ${votedFor ?? "none"} knows ${leader ?? "none"} commit ${commitIndex} log ${logText(node)}`;
}

function logText(node: ScenarioNode): string {
  const terms: (number | null)[] = [];
  for (let index = node.baseIndex + 1; index <= (node.status?.lastIndex ?? 0); index++) terms.push(node.termAt(index));
  return terms.join(",") || "none";
}

function leaders(world: World): readonly NodeId[] {
  return [...world.nodes.values()].filter((node) => node.status?.role === "leader").map((node) => node.id);
}

function votersFor(world: World, candidate: NodeId): readonly NodeId[] {
  const term = world.node(candidate).disk.hardState.term;
  return [...world.nodes.values()]
    .filter(({ disk }) => disk.hardState.term === term && disk.hardState.votedFor === candidate)
    .map((node) => node.id);
}

function checkOutcomes(what: string, found: number, all: number, count: number | null): string | null {
  return found === (count ?? all) && found > 0 ? null : `expected ${count ?? "all"} ${what}, but it is ${found} of ${all}`;
}

function checkRefused({ outcomes }: World, { count, reason }: Extract<Expectation, { form: "refused" }>): string | null {
  const reasons = outcomes.flatMap((outcome) => (outcome.ok ? [] : [outcome.refusal.reason as string]));
  const problem = checkOutcomes("refused", reasons.length, outcomes.length, count);
  return problem ?? differs("the reason", [...new Set(reasons)].join(","), reason);
}

function checkRead(world: World, { label, state }: Extract<Expectation, { form: "read" }>): string | null {
  const read = world.reads.get(label);
  if (read === undefined) return `there is no read "${label}" (there are: ${[...world.reads.keys()].join(", ") || "none"})`;
  const { answer } = read;
  const actual = answer === null ? "waits" : typeof answer === "number" ? `at ${answer}` : `refused ${answer.reason}`;
  const same = actual === state || (state === "refused" && actual.startsWith("refused "));
  return same ? null : `expected read ${label} ${state}, but it is ${actual}`;
}

function checkTimeouts({ measured }: World, nodes: readonly NodeId[], test: TimeoutTest): string | null {
  switch (test.kind) {
    case "cover": {
      const seen = nodes.flatMap((node) => measured.get(node) ?? []);
      const missing = Array.from({ length: test.through - test.from + 1 }, (_, i) => test.from + i).filter(
        (ticks) => !seen.includes(ticks),
      );
      const outside = seen.filter((ticks) => ticks < test.from || ticks > test.through);
      if (missing.length === 0 && outside.length === 0) return null;
      return `of ${seen.length} timeouts none was ${missing.join(", ") || "missing"}, and outside were ${outside.join(", ") || "none"}`;
    }
    case "by": {
      const seen = nodes.flatMap((node) => measured.get(node) ?? []);
      const share = seen.filter((ticks) => ticks <= test.ticks).length / seen.length;
      return Math.abs(share - test.share) <= 0.05
        ? null
        : `${percentText(share)} of the timeouts had passed after ${test.ticks} ticks`;
    }
    case "ties": {
      const rows = [...measured.values()];
      const rounds = rows[0]?.length ?? 0;
      let ties = 0;
      for (let round = 0; round < rounds; round++) {
        const ticks = rows.map((row) => row[round]!);
        const first = Math.min(...ticks);
        if (ticks.filter((each) => each === first).length > 1) ties++;
      }
      return rounds > 0 && ties / rounds <= test.atMost ? null : `${percentText(ties / rounds)} of ${rounds} rounds had a tie`;
    }
    default:
      return assertNever(test, "test of timeouts");
  }
}

function differs(what: string, actual: string, expected: string): string | null {
  return actual === expected ? null : `expected ${what}: ${expected}, but it is ${actual}`;
}

function names(nodes: readonly string[]): string {
  return nodes.toSorted().join(",") || "none";
}

function percentText(share: number): string {
  return `${Math.round(share * 100)} %`;
}
