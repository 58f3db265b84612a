import type { Clock, Timer, Timers } from "#ports";
import type { Engine } from "#consensus";
import type { StateMachine } from "#statemachine";

export interface ClusterClockPorts {
  readonly engine: Pick<Engine, "clusterNow">;
  readonly clock: Clock;
  readonly timers: Timers;
  /** Puts an entry into the log that carries nothing but the time. */
  readonly advance: () => void;
}

/**
 * Keeps replicated time moving on the leader: leases, timeouts and schedules run out inside apply, so when one is due and no
 * traffic carries the time, an entry that carries only time goes into the log.
 */
export class ClusterClock {
  readonly #ports: ClusterClockPorts;
  #timer: Timer | null = null;
  #firesAtMs = Number.POSITIVE_INFINITY;

  constructor(ports: ClusterClockPorts) {
    this.#ports = ports;
  }

  /** Call on the leader after each batch. A timer that is set too early finds nothing due and sets the next. */
  watch(machine: StateMachine): void {
    const dueInMs = this.#dueInMs(machine);
    if (dueInMs === null) return;
    const delayMs = Math.max(MIN_PERIOD_MS, Math.min(dueInMs, MAX_DELAY_MS));
    const firesAtMs = this.#ports.clock.now().monotonicMs + delayMs;
    if (firesAtMs >= this.#firesAtMs) return;
    this.stop();
    this.#firesAtMs = firesAtMs;
    this.#timer = this.#ports.timers.after(delayMs, () => this.#fire(machine));
  }

  stop(): void {
    this.#timer?.cancel();
    this.#timer = null;
    this.#firesAtMs = Number.POSITIVE_INFINITY;
  }

  #fire(machine: StateMachine): void {
    this.stop();
    const dueInMs = this.#dueInMs(machine);
    if (dueInMs !== null && dueInMs <= 0) this.#ports.advance();
    this.watch(machine);
  }

  #dueInMs(machine: StateMachine): number | null {
    const { clusterMs, wallMs } = machine.nextDeadlines();
    if (clusterMs === null && wallMs === null) return null;
    const now = this.#ports.engine.clusterNow();
    const untilCluster = clusterMs === null ? Number.POSITIVE_INFINITY : clusterMs - now.clusterTimeMs;
    const untilWall = wallMs === null ? Number.POSITIVE_INFINITY : wallMs - now.wallTimeMs;
    return Math.min(untilCluster, untilWall);
  }
}

const MIN_PERIOD_MS = 50;
/** Timers of the event loop overflow beyond 2^31 ms. */
const MAX_DELAY_MS = 86_400_000;
