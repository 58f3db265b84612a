import { type ChildProcess, spawn } from "node:child_process";
import type { Child, ChildEvents, Processes, SpawnRequest } from "#agent";

/**
 * Child processes of the agent. Each leads its own process group, so that a signal reaches whatever it has started; and a
 * *reaper* beside the agent kills all groups when the agent dies without a word. (vitessio/vitess#8297 and hashicorp/consul
 * show the alternative: work that goes on for minutes after its lease has gone.)
 */
export function openProcesses(): Processes {
  return new ChildProcesses();
}

class ChildProcesses implements Processes {
  readonly #groups = new Set<number>();
  #reaper: ChildProcess | null = null;
  #closed = false;

  spawn(request: SpawnRequest, events: ChildEvents): Child {
    const [program, ...parameters] = request.command;
    if (program === undefined) throw new Error("a command needs a program");
    // `nice` sets the priority before the program starts: set afterwards, threads that already run would keep theirs.
    const [path, args] =
      request.nice === 0 ? [program, parameters] : ["nice", ["-n", String(request.nice), program, ...parameters]];
    const child = spawn(path, args, {
      cwd: request.workingDirectory,
      env: { ...process.env, ...request.environment },
      stdio: ["pipe", "pipe", "pipe"],
      detached: true,
    });
    child.on("error", (error) => {
      if (child.pid === undefined) events.onExit({ code: null, signal: null, error: error.message });
    });
    child.stdout.setEncoding("utf8").on("data", events.onOutput);
    child.stderr.setEncoding("utf8").on("data", events.onErrorOutput);
    // A program that does not read its input closes the pipe early: no failure of ours.
    child.stdin.on("error", () => {});
    child.stdin.end(request.input);
    if (child.pid !== undefined) this.#watchOver(child, child.pid, events);
    return {
      terminate: () => signalGroup(child, "SIGTERM"),
      kill: () => signalGroup(child, "SIGKILL"),
    };
  }

  close(): void {
    this.#closed = true;
    this.#reaper?.stdin?.end();
    this.#reaper = null;
  }

  #watchOver(child: ChildProcess, pid: number, events: ChildEvents): void {
    this.#groups.add(pid);
    this.#tellReaper(`+ ${pid}\n`);
    child.on("exit", () => {
      // Whatever the program has left running in its group would hold the pipes, and the item, open.
      killGroup(pid, "SIGKILL");
      this.#groups.delete(pid);
      this.#tellReaper(`- ${pid}\n`);
      // A descendant that has left the group may still hold the pipes.
      setTimeout(() => [child.stdout, child.stderr].forEach((pipe) => pipe?.destroy()), PIPE_GRACE_MS).unref();
    });
    child.on("close", (code, signal) => events.onExit({ code, signal, error: null }));
  }

  #tellReaper(line: string): void {
    if (this.#closed) return;
    if (this.#reaper === null) this.#startReaper();
    else this.#reaper.stdin?.write(line);
  }

  #startReaper(): void {
    const reaper = spawn("/bin/sh", ["-c", REAPER], { stdio: ["pipe", "ignore", "ignore"], detached: true });
    this.#reaper = reaper;
    reaper.on("error", () => {});
    reaper.stdin.on("error", () => {});
    reaper.unref();
    if ("unref" in reaper.stdin && typeof reaper.stdin.unref === "function") reaper.stdin.unref();
    reaper.on("exit", () => {
      if (this.#reaper === reaper) this.#reaper = null;
    });
    for (const group of this.#groups) reaper.stdin.write(`+ ${group}\n`);
  }
}

const PIPE_GRACE_MS = 1_000;

/** Reads the groups that live; when the agent's end of the pipe closes, however the agent died, kills what is left. */
const REAPER = `
trap '' HUP INT TERM
groups=' '
while read -r sign group; do
  case $sign in
    +) groups="$groups$group " ;;
    -) kept=' '; for g in $groups; do [ "$g" = "$group" ] || kept="$kept$g "; done; groups=$kept ;;
  esac
done
for g in $groups; do kill -s KILL -- "-$g" 2>/dev/null; done
`;

function signalGroup(child: ChildProcess, signal: NodeJS.Signals): void {
  if (child.pid !== undefined && child.exitCode === null && child.signalCode === null) killGroup(child.pid, signal);
}

function killGroup(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-pid, signal);
  } catch {
    // ESRCH: nobody is left in the group.
  }
}
