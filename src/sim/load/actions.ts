import { completeWorkSpec } from "#codec";
import type { Reply } from "#statemachine";
import type { OperationOutcome } from "../history.ts";
import type { Scene } from "./client.ts";
import type { ActionKind } from "./options.ts";
import { patient, queueNames } from "./worker.ts";

export type Action = (scene: Scene, done: () => void) => void;

export const actions: Partial<Readonly<Record<ActionKind, Action>>> = {
  enqueue: (scene, done) =>
    scene.life.write({ kind: "enqueueWork", spec: newSpec(scene) }, (outcome) => {
      const reply = replyOf(outcome);
      if (reply?.kind === "work") scene.board.work.push(reply.item.workId);
      done();
    }),
};

function newSpec(scene: Scene) {
  const payload = scene.notebook.uniqueValue().padEnd(scene.options.payloadBytes, ".");
  return completeWorkSpec({ ...patient, kind: "simulated", queue: scene.any(queueNames(scene.options.keys)), payload });
}

export function replyOf(outcome: OperationOutcome): Reply | null {
  if (outcome.kind !== "ok" || outcome.answer?.kind !== "decided") return null;
  const { outcome: decided } = outcome.answer.decision;
  return decided.ok ? decided.value : null;
}
