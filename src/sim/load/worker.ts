import type { WorkItem, WorkSpec } from "#statemachine";
import type { OperationOutcome } from "../history.ts";
import type { Scene } from "./client.ts";

/** Claims and works for ever: starts, reports, and ends each item well, badly, late or not at all. */
export function workOn(scene: Scene): void {
  const { life, options, random, world } = scene;
  if (life.isOver) return;
  const claim = {
    kind: "claimWork",
    workerId: `worker-${life.client}`,
    queues: queueNames(options.keys),
    maxItems: scene.chance(0.8) ? 1 : 3,
  } as const;
  const waitMs = scene.chance(0.5) ? 1_000 : 0;
  life.write(
    claim,
    (outcome) => {
      const items = claimedItems(outcome);
      const pauseMs = items.length === 0 ? options.thinkMs * (1 + random()) : 1;
      workThrough(scene, items, () => world.after(pauseMs, () => workOn(scene)));
    },
    { waitMs, echoAfterMs: scene.chance(options.echo) ? options.thinkMs * random() : null },
  );
}

/** The queues that the load uses: a third as many as keys. */
export function queueNames(keys: number): readonly string[] {
  return Array.from({ length: Math.ceil(keys / 3) }, (_, at) => `queue-${at}`);
}

function workThrough(scene: Scene, items: readonly WorkItem[], done: () => void): void {
  const [item, ...others] = items;
  if (item === undefined) return done();
  workOff(scene, item, () => workThrough(scene, others, done));
}

function workOff(scene: Scene, { workId, claim }: WorkItem, done: () => void): void {
  const { life, random, world } = scene;
  const { fencingToken } = claim!;
  const pause = (then: () => void): void => void world.after(scene.options.thinkMs * random(), then);
  const end = (): void => {
    const dice = scene.isDraining() ? 0 : random();
    const echo = { echoAfterMs: scene.chance(scene.options.echo) ? scene.options.thinkMs * random() : null };
    if (dice < 0.75) life.write({ ...complete, workId, fencingToken, result: scene.notebook.uniqueValue() }, done, echo);
    else if (dice < 0.9) life.write({ ...complete, workId, fencingToken, error: failure(dice < 0.85) }, done, echo);
    else if (dice < 0.97) life.write({ kind: "releaseWork", workId, fencingToken, reason: "simulated" }, done, echo);
    else done();
  };
  const report = (): void => {
    if (scene.isDraining() || scene.chance(0.5)) return pause(end);
    const progress = { percent: Math.floor(100 * random()), step: "step", message: "" };
    life.write({ kind: "progressWork", workId, fencingToken, progress }, () => pause(end));
  };
  if (scene.chance(0.5)) life.write({ kind: "startWork", workId, fencingToken }, () => pause(report));
  else pause(report);
}

function claimedItems(outcome: OperationOutcome): readonly WorkItem[] {
  if (outcome.kind !== "ok" || outcome.answer?.kind !== "decided") return [];
  const { outcome: decided } = outcome.answer.decision;
  return decided.ok && decided.value.kind === "claimed" ? decided.value.items : [];
}

const complete = { kind: "completeWork", result: "", error: null, guards: [] } as const;
const failure = (retryable: boolean) => ({ code: "SIMULATED", message: "it went wrong", retryable, cause: "app" }) as const;

/** What may be left out of an item of the load. */
export const patient: Pick<WorkSpec, "heartbeatTimeoutMs" | "maxAttempts" | "backoff"> = {
  heartbeatTimeoutMs: 3_000,
  maxAttempts: 3,
  backoff: { initialMs: 100, multiplier: 2, maxMs: 1_000, jitter: 0.2 },
};
