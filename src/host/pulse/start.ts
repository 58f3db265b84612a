import { getCompileCacheDir } from "node:module";
import { Worker } from "node:worker_threads";
import type { NodeId } from "#kernel";
import type { PulseFeed, PulseSnapshot } from "#ports";
import type { FormerLives, Removal, Testimony } from "#membership";
import {
  BEAT_MS,
  type FromPulse,
  type MembershipEvent,
  type PostRules,
  type PulseMembership,
  type PulseStart,
  type ToPulse,
} from "./messages.ts";

export interface PulseOptions {
  readonly listen: { readonly host: string; readonly port: number };
  readonly nodeId: string;
  /** Default: callers on this machine only. */
  readonly posts?: PostRules;
  /** Default: no detector runs. */
  readonly membership?: PulseMembership | null;
  readonly maxMainStallMs: number;
  /** The thread died after it had started: without it nobody can see this node, so the node should stop. */
  readonly onFailure: (error: Error) => void;
}

export interface Pulse extends PulseFeed {
  /** Begins a life of this node among the members; a life that still runs ends without a word. */
  join(lives: FormerLives): void;
  /** Says goodbye to the members; resolves once it was said often enough. */
  leave(): Promise<void>;
  /** Who does what membership asks of main. */
  onMembership(handler: (event: MembershipEvent) => void): void;
  /** How many members the detector holds alive or suspect, this node included, as of the last second; null where none has a view. */
  presentMembers(): number | null;
  /** What the detector can say for the log, made after this call; null where it can say nothing. */
  testimony(about: readonly NodeId[]): Promise<Testimony | null>;
  remove(removals: readonly Removal[]): void;
  /** The port that is really bound (of interest when 0 was asked for). */
  readonly port: number;
}

/** The status port could not be opened, or its thread died. `code` is the system's (`EADDRINUSE`, `EACCES`, …). */
export class PulseError extends Error {
  override readonly name = "PulseError";
  readonly code: string;
  constructor(code: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

const CLOSE_TIMEOUT_MS = 2_000;
/** Above the longest `leave_timeout`: a goodbye is cut short only where the thread does not answer. */
const LEAVE_TIMEOUT_MS = 9_000;
/** Megabytes. The thread holds one snapshot and a few sockets. */
const HEAP_LIMITS = { maxOldGenerationSizeMb: 32, maxYoungGenerationSizeMb: 4, codeRangeSizeMb: 16, stackSizeMb: 2 };
/** With room for 20,000 members and a full exchange of them. */
const MEMBERSHIP_HEAP_MB = 256;
/** The same file, stripped at load from source and compiled in the package. */
const THREAD = new URL(import.meta.url.endsWith(".ts") ? "./thread.ts" : "./thread.js", import.meta.url);

/**
 * Starts the only other thread of a node and resolves once the status port is open. Rejects with {@link PulseError}.
 * The thread never keeps the process alive: when main ends, however it ends, the port closes with it.
 */
export async function startPulse(options: PulseOptions): Promise<Pulse> {
  const beats = new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT);
  const present = new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT);
  const presentMembers = new Int32Array(present).fill(-1);
  const posts = options.posts ?? { hostNames: [], adminKeySha256: null };
  const membership = options.membership ?? null;
  const { listen, nodeId, maxMainStallMs } = options;
  const start: PulseStart = { ...listen, nodeId, posts, maxMainStallMs, membership, beats, present };
  const thread = new Worker(THREAD, {
    workerData: start,
    env: threadEnvironment(),
    argv: [],
    execArgv: [],
    resourceLimits: membership === null ? HEAP_LIMITS : { ...HEAP_LIMITS, maxOldGenerationSizeMb: MEMBERSHIP_HEAP_MB },
  });
  const port = await listening(thread, options);
  const post = (message: ToPulse): void => thread.postMessage(message, []);
  let handler: Parameters<PulseFeed["handle"]>[0] = notYet;
  let onMembership: (event: MembershipEvent) => void = () => {};
  let onLeft: () => void = () => {};
  const looks = new Map<number, (testimony: Testimony | null) => void>();
  let lastLook = 0;
  thread.on("message", (message: FromPulse) => {
    if (message.kind === "seen") {
      looks.get(message.id)?.(message.testimony);
      looks.delete(message.id);
    }
    if (message.kind === "membership") return message.event.kind === "left" ? onLeft() : onMembership(message.event);
    if (message.kind !== "request") return;
    const { id, path, body } = message;
    handler({ path, body })
      .catch(() => failedAnswer)
      .then((answer) => post({ kind: "answer", id, ...answer }), options.onFailure);
  });
  // After the listener: a listener for messages holds the process.
  thread.unref();

  const counter = new Int32Array(beats);
  const beat = setInterval(() => Atomics.add(counter, 0, 1), BEAT_MS);
  beat.unref();

  let closing = false;
  let failure: Error | null = null;
  thread.on("error", (error: Error) => {
    failure = error;
  });
  const exited = new Promise<void>((resolve) => {
    thread.once("exit", (code) => {
      clearInterval(beat);
      resolve();
      for (const seen of looks.values()) seen(null);
      if (!closing)
        options.onFailure(new PulseError("PULSE_DIED", `the pulse thread ended with code ${code}`, { cause: failure }));
    });
  });

  return {
    port,
    handle: (next) => {
      handler = next;
    },
    push: (snapshot: PulseSnapshot) => post({ kind: "snapshot", snapshot }),
    join: (lives) => post({ kind: "join", lives }),
    onMembership: (next) => {
      onMembership = next;
    },
    presentMembers: () => {
      const count = Atomics.load(presentMembers, 0);
      return count < 0 ? null : count;
    },
    testimony(about) {
      if (membership === null || closing) return Promise.resolve(null);
      const { promise, resolve } = Promise.withResolvers<Testimony | null>();
      looks.set(++lastLook, resolve);
      post({ kind: "look", id: lastLook, about });
      return promise;
    },
    remove: (removals) => post({ kind: "remove", removals }),
    async leave() {
      if (membership === null || closing) return;
      const { promise, resolve } = Promise.withResolvers<void>();
      const overdue = setTimeout(resolve, LEAVE_TIMEOUT_MS);
      onLeft = resolve;
      post({ kind: "leave" });
      await Promise.race([promise, exited]);
      clearTimeout(overdue);
    },
    async close() {
      if (closing) return exited;
      closing = true;
      thread.ref();
      post({ kind: "close" });
      const overdue = setTimeout(() => void thread.terminate(), CLOSE_TIMEOUT_MS);
      await exited;
      clearTimeout(overdue);
    },
  };
}

const notYet = (): ReturnType<Parameters<PulseFeed["handle"]>[0]> =>
  Promise.resolve({ code: 503, body: { error: { code: 503, reason: "UNAVAILABLE", message: "this node is starting" } } });
const failedAnswer = {
  code: 500,
  body: { error: { code: 500, reason: "INTERNAL", message: "the request failed; see the node's log" } },
} as const;

/** No secrets for a thread that talks to everybody. With a warm cache it also spares the type stripper: 12 MB less. */
function threadEnvironment(): Record<string, string> {
  const cache = getCompileCacheDir();
  return cache === undefined ? {} : { NODE_COMPILE_CACHE: cache };
}

function listening(thread: Worker, options: PulseOptions): Promise<number> {
  return new Promise((resolve, reject) => {
    const onError = (error: Error): void =>
      reject(new PulseError("PULSE_DIED", "the pulse thread could not start", { cause: error }));
    thread.once("error", onError);
    thread.once("message", (message: FromPulse) => {
      thread.off("error", onError);
      if (message.kind === "listening") resolve(message.port);
      else if (message.kind === "failed") reject(new PulseError(message.code, explain(options, message)));
    });
  });
}

function explain({ listen, membership = null }: PulseOptions, failed: Extract<FromPulse, { readonly kind: "failed" }>): string {
  const isHttp = failed.listener === "http" || membership === null;
  const place = isHttp ? `${listen.host}:${listen.port}` : membership.bind;
  const [host, port] = [place.slice(0, place.lastIndexOf(":")), place.slice(place.lastIndexOf(":") + 1)];
  const what = isHttp ? "HTTP status" : "membership, UDP and TCP";
  const setting = isHttp ? "ports.http" : "membership.bind";
  switch (failed.code) {
    case "EADDRINUSE":
      return `port ${port} (${what}) on ${host} is in use by another process: find it with \`ss ${isHttp ? "-ltnp" : "-lutnp"} 'sport = :${port}'\` and stop it, or set another ${setting}`;
    case "EACCES":
      return `port ${port} (${what}) needs privileges that this process does not have: set ${setting} above 1023`;
    case "EADDRNOTAVAIL":
      return `${place} (${what}): this machine has no address ${host}; set ${isHttp ? "listen.http_address" : setting} to one of its own, or 0.0.0.0`;
    default:
      return `${place} (${what}) cannot be opened: ${failed.message}`;
  }
}
