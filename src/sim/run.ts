import { asMacrotask, drainMicrotasks } from "./time/microtasks.ts";
import { createCheckers } from "./checkers/index.ts";
import { Cluster } from "./cluster.ts";
import { startLoad } from "./load/start.ts";
import { Nemesis } from "./nemesis/nemesis.ts";
import type { Observer } from "./observer.ts";
import { type RunConfig, type RunOverrides, keepsLeader, swarm } from "./swarm.ts";
import { forbidRealWorld } from "./time/globals.ts";
import { Dice } from "./time/random.ts";
import { Scheduler } from "./time/scheduler.ts";
import { wireCopy } from "./wire-copy.ts";
import type { ClientWorld, Load } from "./world.ts";

export interface RunOptions {
  readonly overrides?: RunOverrides;
  /** Looks on beside the checkers. */
  readonly observers?: readonly Observer[];
  /** Handed the run's clock before anything happens. */
  readonly onStart?: (nowMs: () => number) => void;
  /** Told what the nemesis does. */
  readonly onFault?: (atMs: number, what: string) => void;
}

export interface RunFailure {
  readonly checker: string;
  readonly problem: string;
  readonly atMs: number;
}

export interface RunResult {
  readonly seed: number;
  readonly config: RunConfig;
  readonly failure: RunFailure | null;
  readonly simulatedMs: number;
  readonly realMs: number;
  readonly events: number;
  /** Of everything that happened, in its order: equal for two runs of one seed. */
  readonly fingerprint: string;
  readonly counters: Readonly<Record<string, number>>;
  /** Operations that were answered with success. */
  readonly acknowledged: number;
}

/** One whole run of one seed. Resolves when it is over; never rejects for what goes wrong inside it. */
export function runSeed(seed: number, options: RunOptions = {}): Promise<RunResult> {
  return asMacrotask(() => new Run(swarm(seed, options.overrides), options).toEnd());
}

class Run {
  readonly #config: RunConfig;
  readonly #scheduler = new Scheduler();
  readonly #cluster: Cluster;
  readonly #nemesis: Nemesis;
  readonly #counters = new Map<string, number>();
  readonly #loadDice: Dice;
  #load: Load | null = null;
  #failure: RunFailure | null = null;
  readonly #without: ReadonlySet<string>;
  #fingerprint = 0;

  constructor(config: RunConfig, options: RunOptions) {
    this.#config = config;
    this.#without = new Set(options.overrides?.without);
    options.onStart?.(() => this.#scheduler.nowMs);
    const dice = new Dice(config.seed);
    this.#loadDice = dice.fork("load");
    const report = (checker: string, problem: string): void => this.#report(checker, problem);
    const count = (counter: string): void => void this.#counters.set(counter, (this.#counters.get(counter) ?? 0) + 1);
    this.#cluster = new Cluster(config, {
      scheduler: this.#scheduler,
      dice: dice.fork("world"),
      report,
      count,
      mix: (value) => this.#mix(value),
      overTheWire: config.overTheWire ? wireCopy : (message) => message,
    });
    this.#cluster.observe([
      ...createCheckers(this.#cluster, report, { searches: config.searches, keepsLeader: keepsLeader(config.election) }),
      ...(options.observers ?? []),
    ]);
    this.#nemesis = new Nemesis(this.#cluster, {
      scheduler: this.#scheduler,
      dice: dice.fork("faults"),
      onFault: (kind, what) => {
        count(`fault: ${kind}`);
        options.onFault?.(this.#scheduler.nowMs, `${kind}: ${what}`);
      },
    });
  }

  toEnd(): RunResult {
    const { performance } = globalThis;
    const startedMs = performance.now();
    const clock = performance.now.bind(performance);
    const allow = forbidRealWorld();
    const onRejection = (error: unknown): void => this.#report("unhandled-rejection", String(error));
    process.on("unhandledRejection", onRejection);
    try {
      this.#phases();
    } catch (error) {
      this.#report("simulator", error instanceof Error ? (error.stack ?? error.message) : String(error));
    } finally {
      allow();
      process.off("unhandledRejection", onRejection);
    }
    return {
      seed: this.#config.seed,
      config: this.#config,
      failure: this.#failure,
      simulatedMs: this.#scheduler.nowMs,
      realMs: clock() - startedMs,
      events: this.#scheduler.executed,
      fingerprint: (this.#fingerprint >>> 0).toString(16).padStart(8, "0"),
      counters: Object.fromEntries([...this.#counters].sort(([a], [b]) => (a < b ? -1 : 1))),
      acknowledged: this.#load?.acknowledged ?? 0,
    };
  }

  #phases(): void {
    const { healthyMs, faultsMs, livenessMs } = this.#config.phases;
    void this.#cluster.start().catch((error: unknown) => this.#report("simulator", String(error)));
    this.#untilLeader();
    const term = this.#highestTerm();
    const load = startLoad(this.#clientWorld(), this.#config.load, this.#cluster.observer);
    this.#load = load;
    this.#pass(healthyMs);
    this.#requireThroughput(load, healthyMs);
    this.#requireNoElection(term);
    if (Object.keys(this.#config.faults).length > 0) {
      this.#nemesis.start();
      this.#pass(faultsMs);
      this.#nemesis.heal();
    } else {
      this.#pass(faultsMs);
      this.#requireNoElection(term);
    }
    if (this.#failure !== null) return;
    this.#cluster.observer.healed();
    this.#pass(livenessMs * 0.4);
    const mend = keepsLeader(this.#config.election) ? this.#nemesis.deafen() : null;
    this.#pass(livenessMs * 0.2);
    mend?.();
    this.#pass(livenessMs * 0.4 - DRAIN_MS);
    load.drain();
    const drainedByMs = this.#scheduler.nowMs + DRAIN_MS;
    while (this.#failure === null && load.open > 0 && this.#scheduler.nowMs < drainedByMs) this.#pass(100);
    if (this.#failure === null) this.#cluster.observer.ended();
  }

  #pass(ms: number): void {
    const untilMs = this.#scheduler.nowMs + ms;
    while (this.#failure === null && this.#scheduler.step(untilMs)) {
      drainMicrotasks();
      this.#mix(this.#scheduler.nowMs * 1_000);
    }
  }

  #untilLeader(): void {
    drainMicrotasks();
    const patienceMs = 20 * this.#config.timing.electionMs;
    while (this.#failure === null && !this.#hasLeader()) {
      if (this.#scheduler.nowMs > patienceMs) return this.#report("liveness", `no first leader within ${patienceMs} ms`);
      this.#pass(10);
    }
  }

  #hasLeader(): boolean {
    return this.#cluster.nodes.some((node) => this.#cluster.status(node)?.ownTermCommitted === true);
  }

  #highestTerm(): number {
    return Math.max(...this.#cluster.nodes.map((node) => this.#cluster.status(node)?.term ?? 0));
  }

  /** A run that did nothing proves nothing: it is void, and that is the generator's failure. */
  #requireThroughput(load: Load, ms: number): void {
    const perSecond = load.acknowledged / (ms / 1_000);
    if (perSecond < MIN_ACKNOWLEDGED_PER_SECOND) {
      this.#report("throughput", `the run is void: ${perSecond.toFixed(1)} operations a second in its healthy phase`);
    }
  }

  #requireNoElection(term: number): void {
    if (!keepsLeader(this.#config.election)) return;
    const now = this.#highestTerm();
    if (now !== term) this.#report("liveness", `an election without a fault: term ${term} became ${now}`);
  }

  #clientWorld(): ClientWorld {
    const cluster = this.#cluster;
    return {
      electionMs: cluster.electionMs,
      get nowMs() {
        return cluster.nowMs;
      },
      nodes: cluster.nodes,
      isUp: (node) => cluster.isUp(node),
      status: (node) => cluster.status(node),
      durable: cluster.durable,
      count: (counter) => cluster.count(counter),
      random: this.#loadDice.next,
      after: (delayMs, run) => {
        const event = this.#scheduler.after(delayMs, run);
        return {
          cancel: () => {
            event.run = null;
          },
        };
      },
      call: (node, serve, caller) => cluster.call(node, serve, caller),
    };
  }

  #report(checker: string, problem: string): void {
    if (!this.#without.has(checker)) this.#failure ??= { checker, problem, atMs: this.#scheduler.nowMs };
  }

  #mix(value: number): void {
    this.#fingerprint = Math.imul((this.#fingerprint << 5) ^ (this.#fingerprint >>> 27) ^ value, 0x9e37_79b1);
  }
}

const MIN_ACKNOWLEDGED_PER_SECOND = 5;
/** How long the clients may take to finish what they have begun. */
const DRAIN_MS = 30_000;
