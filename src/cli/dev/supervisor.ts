import { type ChildProcess, spawn } from "node:child_process";
import { appendFileSync, openSync } from "node:fs";
import { join } from "node:path";

/** A process that should be running. */
export interface Program {
  readonly name: string;
  readonly args: readonly string[];
}

export interface SupervisorOptions {
  readonly logFolder: string;
  /** Milliseconds from a death to the next start; null = a dead child stays dead. */
  readonly restartAfterMs: number | null;
  readonly say: (line: string) => void;
}

const STOP_GRACE_MS = 15_000;

/** Keeps programs running as children, each with its own log file, and stops them in the order given. */
export class Supervisor {
  readonly #options: SupervisorOptions;
  readonly #children = new Map<string, ChildProcess>();
  readonly #timers = new Set<NodeJS.Timeout>();
  #stopping = false;

  constructor(options: SupervisorOptions) {
    this.#options = options;
  }

  start(program: Program): void {
    const log = openSync(join(this.#options.logFolder, `${program.name}.log`), "a", 0o600);
    // A group of its own: Ctrl-C reaches this process alone, which then stops the children in order.
    const child = spawn(process.execPath, program.args, { stdio: ["ignore", log, log], detached: true });
    this.#children.set(program.name, child);
    child.once("exit", (code, signal) => {
      this.#children.delete(program.name);
      if (this.#stopping) return;
      this.#died(program, code, signal);
    });
  }

  pids(): Readonly<Record<string, number>> {
    return Object.fromEntries(
      [...this.#children].flatMap(([name, child]) => (child.pid === undefined ? [] : [[name, child.pid]])),
    );
  }

  /** SIGTERM to each, all at once within a group of names; SIGKILL for whoever is not gone in time. */
  async stop(order: readonly (readonly string[])[]): Promise<void> {
    this.#stopping = true;
    for (const timer of this.#timers) clearTimeout(timer);
    for (const names of order) await Promise.all(names.map((name) => this.#stopOne(name)));
  }

  #died(program: Program, code: number | null, signal: NodeJS.Signals | null): void {
    const how = signal === null ? `exit code ${code}` : signal;
    const file = join(this.#options.logFolder, `${program.name}.log`);
    appendFileSync(file, `${JSON.stringify({ level: "warn", msg: "process ended", node: program.name, how })}\n`);
    const { restartAfterMs, say } = this.#options;
    if (restartAfterMs === null) return say(`${program.name} died (${how}) and stays dead (--no-restart); log: ${file}`);
    say(`${program.name} died (${how}); starting it again in ${restartAfterMs / 1000} s; log: ${file}`);
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      this.start(program);
    }, restartAfterMs);
    this.#timers.add(timer);
  }

  async #stopOne(name: string): Promise<void> {
    const child = this.#children.get(name);
    if (child === undefined) return;
    const gone = new Promise<void>((resolve) => child.once("exit", () => resolve()));
    child.kill("SIGTERM");
    const force = setTimeout(() => child.kill("SIGKILL"), STOP_GRACE_MS);
    await gone;
    clearTimeout(force);
  }
}
