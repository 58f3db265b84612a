import type { SwimEvent } from "#membership/core";
import { forbidRealWorld } from "../time/globals.ts";
import { Dice } from "../time/random.ts";
import { Scheduler } from "../time/scheduler.ts";
import { Cluster } from "./cluster.ts";
import { ConvergenceWatch } from "./convergence-watch.ts";
import type { LaunchCore } from "./launch.ts";
import type { RunMeasures } from "./measures.ts";
import type { SimMember } from "./member.ts";
import { scriptOptions } from "./real-core.ts";
import type { Selector, SwimScript } from "./scenario/script.ts";
import { scheduleSteps } from "./steps.ts";

export interface SwimRun {
  readonly seed: number;
  readonly measures: RunMeasures;
  readonly fingerprint: string;
  /** What the script's own checks found, in the order of the run. */
  readonly faults: readonly RunFault[];
  /** The machines that a selector of an expectation means. */
  readonly asked: ReadonlyMap<Selector, readonly number[]>;
  readonly simulatedMs: number;
  readonly events: number;
}

/** Of a fault that no line of the script is about. */
export const NO_LINE = 0;

export interface RunFault {
  readonly line: number;
  readonly problem: string;
}

export interface RunPorts {
  readonly launch: LaunchCore;
  /** Gets one line for everything that a member reports, or null. */
  readonly onLine: ((line: string) => void) | null;
  /** Called after every simulated second, those of the warm-up included: a large run takes minutes. */
  readonly onSecond?: OnSecond;
}

type OnSecond = (simulatedMs: number) => void;

/** Members start within this time of each other. */
const STARTS_MS = 2_000;
/** A cluster that has not come together by then never will. */
const MAX_WARM_UP_MS = 300_000;
const LOOK_MS = 250;
/** A look at a large cluster costs as much as seconds of its life. */
const LARGE = 200;

/** One run: the cluster comes together and settles, then the script's clock starts. A function of script and seed alone. */
export function runSwim(script: SwimScript, seed: number, { launch, onLine, onSecond = () => {} }: RunPorts): SwimRun {
  const restore = forbidRealWorld();
  try {
    const scheduler = new Scheduler();
    const dice = new Dice(seed);
    const faults: RunFault[] = [];
    const onEvent = (member: SimMember, event: SwimEvent): void => {
      if (onLine !== null) onLine(traceLine(cluster, member, event));
    };
    const cluster = new Cluster(script, { scheduler, dice, launch, onEvent });
    const { measures } = cluster;
    if (!warmUp(script, cluster, onSecond))
      faults.push({ line: NO_LINE, problem: "the cluster did not come together before the script began" });
    measures.begin();
    const startMs = scheduler.nowMs;
    scheduleSteps(script.steps, cluster, { startMs, runMs: script.runMs }, (fault) => {
      faults.push({ line: fault.step.line, problem: `at ${fault.atMs / 1_000}s ${fault.problem}` });
    });
    repeat(scheduler, script.nodes > LARGE ? 4 * LOOK_MS : LOOK_MS, () => measures.look());
    repeat(scheduler, 1_000, () => measures.second());
    if (script.expectations.some(({ metric }) => metric === "called-converged" || metric === "called-converged-too-soon")) {
      const watch = new ConvergenceWatch(cluster.machines, scriptOptions(script), measures, () => scheduler.nowMs);
      repeat(scheduler, LOOK_MS, () => watch.look());
    }
    runUntil(scheduler, startMs + script.runMs, onSecond);
    return {
      seed,
      measures: measures.result(),
      fingerprint: measures.fingerprint,
      faults,
      asked: new Map(script.expectations.flatMap(({ of }) => (of === null ? [] : [[of, indexesOf(of, cluster)] as const]))),
      simulatedMs: scheduler.nowMs,
      events: scheduler.executed,
    };
  } finally {
    restore();
  }
}

function indexesOf(of: Selector, { selection }: Cluster): readonly number[] {
  return selection.machines(of).map(({ index }) => index);
}

/** Starts everyone and waits until everyone knows everyone; then the cluster settles. */
function warmUp(script: SwimScript, cluster: Cluster, onSecond: OnSecond): boolean {
  const { scheduler } = cluster;
  if (script.start === "warm") {
    cluster.startWarm();
    runUntil(scheduler, script.settleMs, onSecond);
    return true;
  }
  const absent = cluster.selection.machines(script.absent);
  const present = cluster.machines.filter((machine) => machine.index < script.nodes && !absent.includes(machine));
  for (const machine of present) scheduler.at(cluster.dice.between(0, STARTS_MS), () => cluster.start(machine, "kept", false));
  while (scheduler.nowMs < MAX_WARM_UP_MS) {
    runUntil(scheduler, scheduler.nowMs + 1_000, onSecond);
    if (!isTogether(cluster, present.length)) continue;
    runUntil(scheduler, scheduler.nowMs + script.settleMs, onSecond);
    return true;
  }
  return false;
}

/** By what they reported, and in the end by what they show: a view of everyone by everyone is dear. */
function isTogether({ running, measures }: Cluster, present: number): boolean {
  if (running.length !== present || !running.every(({ machine }) => measures.heldRunning(machine) === present - 1)) return false;
  return running.every((member) => member.view().members.filter(({ record }) => record.state === "alive").length === present);
}

function repeat(scheduler: Scheduler, everyMs: number, run: () => void): void {
  scheduler.after(everyMs, () => {
    run();
    repeat(scheduler, everyMs, run);
  });
}

function runUntil(scheduler: Scheduler, untilMs: number, onSecond: OnSecond): void {
  while (scheduler.nowMs < untilMs) {
    const secondMs = Math.min(untilMs, (Math.floor(scheduler.nowMs / 1_000) + 1) * 1_000);
    while (scheduler.step(secondMs));
    onSecond(scheduler.nowMs);
  }
}

function traceLine({ measures }: Cluster, { machine }: SimMember, event: SwimEvent): string {
  const at = measures.isMeasuring ? `${(measures.atMs / 1_000).toFixed(3)}s` : "warm-up";
  return `${at} ${machine.id} ${eventText(event)}`;
}

function eventText(event: SwimEvent): string {
  if ("member" in event) {
    const { id, incarnation, accuser, addresses } = event.member;
    const by = accuser === null || accuser === id ? "" : ` by ${accuser}`;
    const to = event.kind === "address-changed" ? ` to ${addresses.join(" ")}` : "";
    return `${event.kind} ${id}@${incarnation.epoch}.${incarnation.counter}${by}${to}`;
  }
  const { kind, ...rest } = event;
  return `${kind} ${JSON.stringify(rest)}`;
}
