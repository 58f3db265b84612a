import { check } from "./check.ts";
import { BrokenInvariant } from "./invariants.ts";
import type { Row, Script, Statement } from "./script.ts";
import type { VerbName } from "./verbs.ts";
import { ImpossibleStep, World } from "./world.ts";

/** Where a scenario failed, and why; null fields are about the whole file. */
export interface Failure {
  readonly line: number;
  readonly column: number;
  readonly message: string;
  /** Which row of the table, empty when there is none. */
  readonly row: string;
}

export interface ScenarioResult {
  readonly failure: Failure | null;
  /** All that happened, up to the failure. */
  readonly trace: readonly string[];
  readonly expectations: number;
}

/** Runs every row of a script; stops at the first expectation that does not hold. The golden trace is compared last. */
export function runScenario(script: Script, compareTrace = true): ScenarioResult {
  const trace: string[] = [];
  let expectations = 0;
  for (const row of script.rows) {
    if (row.name !== "") trace.push(`row ${row.name}`);
    const result = runRow(row, trace);
    expectations += result.expectations;
    if (result.failure !== null) return { failure: result.failure, trace, expectations };
  }
  return { failure: compareTrace ? differentTrace(script, trace) : null, trace, expectations };
}

function runRow(row: Row, trace: string[]): Pick<ScenarioResult, "failure" | "expectations"> {
  const world = new World(row.members, (text) => trace.push(`  ${text}`));
  let expectations = 0;
  for (const [at, statement] of row.statements.entries()) {
    const { action, text } = statement;
    const problem = guarded(() => {
      if (action.kind === "expect") {
        expectations++;
        world.start();
        return check(world, action.expectation);
      }
      if (!SETUP.has(action.kind)) trace.push(text);
      world.do(action);
      return stoppedUnexpectedly(world, row.statements, at);
    });
    if (problem !== null) return { failure: failureAt(statement, row, problem), expectations };
  }
  return { failure: null, expectations };
}

/** What is there before anything happens: the file says it already, a trace need not. */
const SETUP: ReadonlySet<VerbName> = new Set(["voters", "outgoing", "learners", "outside", "absent", "options", "node", "seed"]);

/** A step that cannot be, or that breaks Raft, fails the scenario where it stands. */
function guarded(action: () => string | null): string | null {
  try {
    return action();
  } catch (error) {
    if (error instanceof ImpossibleStep) return `impossible: ${error.message}`;
    if (error instanceof BrokenInvariant) return `an invariant of Raft is broken: ${error.message}`;
    throw error;
  }
}

/** A node may stop by itself only where the script says so: in one of the `expect` lines right behind the step. */
function stoppedUnexpectedly(world: World, statements: readonly Statement[], at: number): string | null {
  for (const node of world.nodes.values()) {
    if (node.fatal === null || node.isFatalExplained) continue;
    for (const { action } of statements.slice(at + 1)) {
      if (action.kind !== "expect") break;
      const { expectation } = action;
      if (expectation.form === "facts" && expectation.facts.some(({ name }) => name === "fatal")) node.isFatalExplained = true;
    }
    if (!node.isFatalExplained) return `${node.id} stopped: ${node.fatal.message}`;
  }
  return null;
}

function failureAt({ line, column }: Statement, row: Row, message: string): Failure {
  return { line, column, message, row: row.name };
}

function differentTrace({ trace }: Script, actual: readonly string[]): Failure | null {
  if (trace === null) return null;
  const { line, lines } = trace;
  const length = Math.max(lines.length, actual.length);
  for (let i = 0; i < length; i++) {
    if (lines[i] === actual[i]) continue;
    const message = `the trace differs: expected "${lines[i]?.trim() ?? "(end)"}", got "${actual[i]?.trim() ?? "(end)"}" (--rewrite accepts it)`;
    return { line: line + 1 + i, column: 1, message, row: "" };
  }
  return null;
}
