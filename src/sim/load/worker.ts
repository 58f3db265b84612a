import type { WorkItem, WorkSpec } from "#statemachine";
import type { OperationOutcome } from "../history.ts";
import { replyOf, write } from "./actions.ts";
import type { Scene } from "./client.ts";

/** Claims and works for ever: starts, reports, and ends each item well, badly, late or not at all. */
export function workOn(scene: Scene): void {
  const { life, options, random, world } = scene;
  if (life.isOver || scene.board.isAllDone) return;
  const claim = {
    kind: "claimWork",
    workerId: `worker-${life.client}`,
    queues: queueNames(options.keys),
    maxItems: scene.chance(0.8) ? 1 : 3,
  } as const;
  const waitMs = scene.chance(0.5) && !scene.isDraining() ? 1_000 : 0;
  const next = (outcome: OperationOutcome): void => {
    const reply = replyOf(outcome);
    const items = reply?.kind === "claimed" ? reply.items : [];
    const pauseMs = items.length === 0 ? Math.min(1_000, options.thinkMs * (1 + random())) : 1;
    workThrough(scene, items, () => world.after(pauseMs, () => workOn(scene)));
  };
  write(scene, claim, next, waitMs);
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
  const { random, world, options } = scene;
  const { fencingToken } = claim!;
  const pause = (then: () => void): void => void world.after(scene.isDraining() ? 1 : 0.5 * options.thinkMs * random(), then);
  const finished = (): void => {
    scene.board.backlog = Math.max(0, scene.board.backlog - 1);
    done();
  };
  const end = (): void => {
    const dice = scene.isDraining() ? 0 : random();
    if (dice < 0.75) write(scene, { ...complete, workId, fencingToken, result: scene.notebook.uniqueValue() }, finished);
    else if (dice < 0.9) write(scene, { ...complete, workId, fencingToken, error: failure(dice < 0.85) }, done);
    else if (dice < 0.97) write(scene, { kind: "releaseWork", workId, fencingToken, reason: "simulated" }, done);
    else done();
  };
  const report = (): void => {
    if (scene.isDraining() || scene.chance(0.5)) return pause(end);
    const progress = { percent: Math.floor(100 * random()), step: "step", message: "" };
    write(scene, { kind: "progressWork", workId, fencingToken, progress }, () => pause(end));
  };
  if (scene.chance(0.5)) write(scene, { kind: "startWork", workId, fencingToken }, () => pause(report));
  else pause(report);
}

const complete = { kind: "completeWork", result: "", error: null, guards: [] } as const;
const failure = (retryable: boolean) => ({ code: "SIMULATED", message: "it went wrong", retryable, cause: "app" }) as const;

/** What may be left out of an item of the load. */
export const patient: Pick<WorkSpec, "heartbeatTimeoutMs" | "maxAttempts" | "backoff"> = {
  heartbeatTimeoutMs: 3_000,
  maxAttempts: 3,
  backoff: { initialMs: 100, multiplier: 2, maxMs: 1_000, jitter: 0.2 },
};
