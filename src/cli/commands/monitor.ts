import { setTimeout as pause } from "node:timers/promises";
import { toJson } from "#codec";
import { ExitError } from "#kernel";
import { type Command, parse, UsageError } from "../command.ts";
import { clusterConfig, type Door, doorsHelp, doorsOf, doorsOptions } from "../doors.ts";
import { afterLook } from "../monitor/changes.ts";
import { type FrameInput, frameOf } from "../monitor/frame.ts";
import { look } from "../monitor/look.ts";
import type { Picture } from "../monitor/picture.ts";
import { Terminal } from "../monitor/terminal.ts";
import { type OutputFormat, outputFormat, outputHelp, outputOptions, printJson } from "../output.ts";

export const monitor: Command = {
  name: "monitor",
  summary: "The whole cluster on one screen: leader, quorum, voters, members, queues, alarms, events",
  usage: "[--watch] [--interval SECONDS] [--config FILE | --http URL|HOST:PORT...] [-o table|json]",
  details: `One look, or with --watch one after the other, in place on a terminal. The word of the leader holds, or of a voter while there
is none; the more nodes are asked (--config asks all), the more of what they disagree about is seen. Nodes that do not answer are
named, with the time since when; while nobody answers the last frame stays. docs/membership.md tells how to read it in an incident.

Options:
      --watch               look again until Ctrl-C
      --interval SECONDS    between two looks (default 2)
${doorsHelp}
${outputHelp}; with --watch a line of JSON for each look
Colours only on a terminal, and not when $NO_COLOR is set. Times are UTC, as in the logs.
Exit code 0, of a single look 8 when the cluster is not healthy and 5 when nobody answers.`,
  run: async (args) => {
    const options = { ...doorsOptions, ...outputOptions, watch: { type: "boolean" }, interval: { type: "string" } } as const;
    const { values } = parse(args, options, []);
    const format = outputFormat(values);
    if (values.interval !== undefined && values.watch !== true) throw new UsageError("--interval needs --watch");
    const everyMs = intervalOf(values.interval) * 1_000;
    const doors = doorsOf(values, clusterConfig(values.config));
    return values.watch === true ? await watch(doors, everyMs, format) : await once(doors, format);
  },
};

const DEFAULT_SECONDS = 2;
const PATIENCE_MS = 5_000;

async function once(doors: readonly Door[], format: OutputFormat): Promise<number> {
  const picture = await look(doors, PATIENCE_MS, new AbortController().signal);
  if (format === "json") printJson(picture);
  else draw(new Terminal(process.stdout, process.env), afterLook(null, picture));
  if (picture.teller === null) throw new ExitError(5, "nobody answers", "Is a node up? --http or --config names others.");
  return picture.health === "healthy" ? 0 : 8;
}

async function watch(doors: readonly Door[], everyMs: number, format: OutputFormat): Promise<number> {
  const terminal = new Terminal(process.stdout, process.env);
  const stopped = stopOnSignals(terminal);
  let seen: FrameInput | null = null;
  const show = (): void => {
    if (seen !== null && format === "table") draw(terminal, seen);
  };
  process.stdout.on("resize", show);
  if (format === "table") terminal.open();
  try {
    while (!stopped.aborted) {
      const next = performance.now() + everyMs;
      const picture: Picture = await look(doors, Math.max(MIN_PATIENCE_MS, Math.min(PATIENCE_MS, everyMs)), stopped);
      if (stopped.aborted) break;
      seen = afterLook(seen, picture);
      if (format === "json") process.stdout.write(`${JSON.stringify(toJson(picture))}\n`);
      else show();
      await pause(Math.max(0, next - performance.now()), null, { signal: stopped }).catch(() => {});
    }
    return 0;
  } finally {
    terminal.close();
  }
}

const MIN_PATIENCE_MS = 1_000;

function draw(terminal: Terminal, seen: FrameInput): void {
  terminal.draw(frameOf(seen, terminal.room));
}

/** Ctrl-Z gives the terminal back too, and takes it again with `fg`. */
function stopOnSignals(terminal: Terminal): AbortSignal {
  const stopped = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.once(signal, () => stopped.abort());
  process.on("SIGTSTP", () => {
    terminal.close();
    process.kill(process.pid, "SIGSTOP");
  });
  process.on("SIGCONT", () => terminal.open());
  return stopped.signal;
}

function intervalOf(text: string | undefined): number {
  const seconds = text === undefined ? DEFAULT_SECONDS : Number(text);
  if (Number.isFinite(seconds) && seconds >= 0.2 && seconds <= 3_600) return seconds;
  throw new UsageError(`--interval takes seconds from 0.2 to 3600, not "${text}"`);
}
