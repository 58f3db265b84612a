import type { Observer } from "./observer.ts";
import type { RunOptions } from "./run.ts";

/** Prints a run as it goes: faults, lives, messages, elections, commitments, the clients' operations. */
export function traceTo(print: (line: string) => void): Pick<RunOptions, "observers" | "onFault" | "onStart"> {
  let nowMs = (): number => 0;
  const say = (who: string, what: string): void => print(`${(nowMs() / 1_000).toFixed(4).padStart(9)}  ${who.padEnd(8)} ${what}`);
  const observer: Observer = {
    started: (node, life, { term, lastIndex }) => say(node, `starts, life ${life}: term ${term}, log to ${lastIndex}`),
    stopped: (node, why) => say(node, why === null ? "is killed" : `ends: ${why.message}`),
    sent: (from, to, message) => say(from, `→ ${to} ${message.kind} ${brief(message)}`),
    drained: (node, { status, trace }) => {
      if (status !== null) say(node, `is ${status.role} in term ${status.term}, leader ${status.leader ?? "unknown"}`);
      for (const { mark, fields } of trace) say(node, `${mark} ${JSON.stringify(fields)}`);
    },
    persisted: (node, batch, hardState, entries) => {
      const last = entries.at(-1);
      say(
        node,
        `batch ${batch} durable${last === undefined ? "" : ` to ${last.index}`}${hardState === null ? "" : ` ${JSON.stringify(hardState)}`}`,
      );
    },
    committed: (node, entries) => say(node, `commits ${entries[0]!.index} to ${entries.at(-1)!.index}`),
    restored: (node, index) => say(node, `is restored from a snapshot at ${index}`),
    invoked: ({ client, number, request }) =>
      say(
        `client ${client}`,
        `#${number} ${request.kind === "write" ? request.command.operation.kind : `reads ${request.what} ${request.key}`}`,
      ),
    returned: ({ client, number, outcome }) =>
      say(
        `client ${client}`,
        `#${number} ${outcome?.kind ?? "open"}${outcome?.kind === "ok" ? ` at ${outcome.index}` : ` ${outcome?.reason ?? ""}`}`,
      ),
    healed: () => say("world", "all faults are over"),
    ended: () => say("world", "the run ends"),
  };
  return {
    observers: [observer],
    onFault: (_atMs, what) => say("nemesis", what),
    onStart: (clock) => {
      nowMs = clock;
    },
  };
}

function brief(message: object): string {
  const words = Object.entries(message).filter(([name]) => !["kind", "from", "to", "meta", "data"].includes(name));
  return words.map(([name, value]) => `${name}=${Array.isArray(value) ? value.length : String(value)}`).join(" ");
}
