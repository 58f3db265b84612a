import type { NodeId } from "#kernel";
import type { Clock, PeerLinkEvents, Timer, Timers } from "#ports";
import type { Message, RaftStatus } from "#raft";
import type { Voter } from "#node";
import type { DiskUser } from "./disk/disk.ts";
import type { Introduction } from "./introduction.ts";
import type { SimClock } from "./time/clock.ts";
import type { Scheduled, Scheduler } from "./time/scheduler.ts";

export interface ProcessEvents {
  /** The moment that {@link SimProcess.dieAfterEffects} counted down to. */
  readonly onDoomed: (process: SimProcess) => void;
  /** An exception that nothing caught: the end of a real process. */
  readonly onUncaught: (process: SimProcess, error: unknown) => void;
}

/** One life of one node. When it dies nothing of it runs, sends, writes or answers any more, at whatever point it was. */
export class SimProcess implements DiskUser {
  readonly node: NodeId;
  readonly life: number;
  readonly connected = new Set<NodeId>();
  isAlive = true;
  voter: Voter | null = null;
  peerEvents: PeerLinkEvents<Message> | null = null;
  /** Null until the process may speak to its peers. */
  introduction: Introduction | null = null;
  status: (() => RaftStatus) | null = null;
  /** 1: as fast as it should be. */
  slowness = 1;
  /** Set: the process dies right before the effect (disk, network) that brings this to zero. */
  dieAfterEffects: number | null = null;
  /** Then the machine dies with it, and what was not synced. */
  losesPower = false;
  readonly #scheduler: Scheduler;
  readonly #clock: SimClock;
  readonly #events: ProcessEvents;
  #isPaused = false;
  #backlog: (() => void)[] = [];
  #busyUntilMs = 0;

  constructor(
    id: { readonly node: NodeId; readonly life: number },
    ports: { readonly scheduler: Scheduler; readonly clock: SimClock },
    events: ProcessEvents,
  ) {
    this.node = id.node;
    this.life = id.life;
    this.#scheduler = ports.scheduler;
    this.#clock = ports.clock;
    this.#events = events;
  }

  get isPaused(): boolean {
    return this.#isPaused;
  }

  readonly clock: Clock = { now: () => this.#clock.now(this.#scheduler.nowMs) };

  readonly timers: Timers = {
    after: (delayMs, run) => this.#timer(delayMs, run),
    every: (periodMs, run) => this.#interval(periodMs, run),
    soon: (run) => void this.#scheduler.after(0, () => this.enter(run)),
  };

  effect(): boolean {
    if (!this.isAlive) return false;
    if (this.dieAfterEffects === null || --this.dieAfterEffects >= 0) return true;
    this.#events.onDoomed(this);
    return false;
  }

  /** Everything that happens in this process happens through here: a paused one lets it pile up, a slow one comes late. */
  enter(run: () => void): void {
    if (!this.isAlive) return;
    if (this.#isPaused) {
      this.#backlog.push(run);
      return;
    }
    if (this.slowness > 1) {
      const { nowMs } = this.#scheduler;
      if (nowMs < this.#busyUntilMs) {
        this.#scheduler.at(this.#busyUntilMs, () => this.enter(run));
        return;
      }
      this.#busyUntilMs = nowMs + this.slowness * TURN_MS;
    }
    try {
      run();
    } catch (error) {
      this.#events.onUncaught(this, error);
    }
  }

  pause(): void {
    this.#isPaused = true;
  }

  /** What piled up happens now, in its order, each as an event of its own. */
  resume(): void {
    this.#isPaused = false;
    const backlog = this.#backlog;
    this.#backlog = [];
    for (const run of backlog) this.#scheduler.after(0, () => this.enter(run));
  }

  die(): void {
    this.isAlive = false;
    this.#backlog = [];
    this.connected.clear();
  }

  #timer(delayMs: number, run: () => void): Timer {
    const event: Scheduled = this.#scheduler.after(delayMs / this.#clock.rate, () => this.enter(() => cancelled || run()));
    let cancelled = false;
    return {
      cancel: () => {
        cancelled = true;
        event.run = null;
      },
    };
  }

  /** As Node's: a busy or paused process skips beats instead of firing a burst of them afterwards. */
  #interval(periodMs: number, run: () => void): Timer {
    let event: Scheduled;
    let cancelled = false;
    const beat = (): void => {
      if (cancelled) return;
      arm();
      run();
    };
    const fire = (): void => this.enter(beat);
    const arm = (): void => {
      event = this.#scheduler.after(periodMs / this.#clock.rate, fire);
    };
    arm();
    return {
      cancel: () => {
        cancelled = true;
        event.run = null;
      },
    };
  }
}

/** What one turn costs on a machine of normal speed; only slow ones are charged. */
const TURN_MS = 0.05;
