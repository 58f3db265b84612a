import type { Client } from "#client";
import type { WorkerConfig } from "#config";
import type { ClusterId, NodeId, Random } from "#kernel";
import type { Clock, Log, Timers } from "#ports";
import type { Progress, WorkItem } from "#statemachine";
import type { Exit } from "./core/verdict.ts";

export interface AgentConfig {
  readonly nodeId: NodeId;
  readonly incarnation: number;
  readonly worker: WorkerConfig;
  /** Client ports, handed to children in RINGRAFT_ENDPOINTS. */
  readonly endpoints: readonly string[];
  readonly clusterId: ClusterId | null;
  /** Between SIGTERM and SIGKILL. Default 10,000. */
  readonly killGraceMs?: number;
  /** How long fenced work goes on while the session's life is uncertain. Default 600,000. */
  readonly maxUncertainMs?: number;
}

export interface AgentDeps {
  readonly client: Client;
  readonly processes: Processes;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Random;
  readonly log: Log;
  /** Kinds that run as functions in this process; they take precedence over the configuration's commands. */
  readonly handlers?: ReadonlyMap<string, Handler>;
}

export interface Agent {
  /** Settles when the agent has stopped. */
  readonly stopped: Promise<void>;
  /** No new claims; what runs gets `drainTimeoutMs`, then is released without charging the attempt. */
  drain(): Promise<void>;
  readonly running: number;
}

/** An item as its in-process handler sees it. */
export interface Task {
  readonly item: WorkItem;
  /** Aborts on cancel, timeout, drain and a lost claim. Return soon after. */
  readonly signal: AbortSignal;
  report(progress: Progress): void;
}

/** Resolves with the result (text, mostly JSON). A rejection is a retryable failure unless the error has `retryable: false`. */
export type Handler = (task: Task) => Promise<string>;

/** The port to child processes; `host/process` fills it. */
export interface Processes {
  spawn(request: SpawnRequest, events: ChildEvents): Child;
  close(): void;
}

export interface SpawnRequest {
  readonly command: readonly string[];
  readonly workingDirectory: string;
  readonly environment: Readonly<Record<string, string>>;
  readonly nice: number;
  /** For standard input, which is closed after it. */
  readonly input: string;
}

export interface ChildEvents {
  readonly onOutput: (text: string) => void;
  readonly onErrorOutput: (text: string) => void;
  /** Once, after all output; also when the program could not be started. */
  readonly onExit: (exit: Exit) => void;
}

/** Signals go to the child's whole process group. */
export interface Child {
  terminate(): void;
  kill(): void;
}
