import type { TraceLine } from "#node";
import type { Configuration } from "#raft";
import { ReferenceMachine } from "./machine.ts";

export type TraceVerdict =
  | { readonly ok: true; readonly node: string; readonly lives: number; readonly transitions: number }
  | { readonly ok: false; readonly line: number; readonly problem: string };

/**
 * Holds a trace that a voter wrote (`serve --trace-file`) against the rules. A process that was killed may have left its
 * last line unfinished; every other line must be whole.
 */
export async function verifyTrace(lines: AsyncIterable<string>): Promise<TraceVerdict> {
  let machine: ReferenceMachine | null = null;
  let configuration: Configuration | null = null;
  let node = "";
  let lives = 0;
  let transitions = 0;
  let number = 0;
  let unfinished: number | null = null;
  for await (const text of lines) {
    number++;
    if (text === "") continue;
    const line = parsed(text);
    if (line === null) {
      if (unfinished !== null) return { ok: false, line: unfinished, problem: "it is no line of a trace" };
      unfinished = number;
      continue;
    }
    if (unfinished !== null && line.event !== "start")
      return { ok: false, line: unfinished, problem: "it is no line of a trace" };
    unfinished = null;
    if (line.event === "start") {
      ({ node, configuration } = line);
      machine = new ReferenceMachine(line.node, line);
      lives++;
      continue;
    }
    if (machine === null || configuration === null)
      return { ok: false, line: number, problem: "the trace has no start before it" };
    configuration = line.configuration ?? configuration;
    const broken =
      line.event === "step"
        ? machine.stepped(line.input, line.state, configuration)
        : machine.drained(line.ready, line.state, configuration);
    if (broken !== null) return { ok: false, line: number, problem: broken };
    transitions++;
  }
  if (lives === 0) return { ok: false, line: number, problem: "it holds no trace" };
  return { ok: true, node, lives, transitions };
}

/** What ringraft wrote itself; anything else fails at its first use, with its line's number. */
function parsed(text: string): TraceLine | null {
  try {
    const value: unknown = JSON.parse(text);
    const isLine = typeof value === "object" && value !== null && "event" in value && "state" in value;
    return isLine ? (value as TraceLine) : null;
  } catch {
    return null;
  }
}
