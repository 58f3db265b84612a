import type { Refusal, Revision } from "#kernel";
import type { WatchOutput, WatchSpec } from "#replica";
import type { ObjectKind } from "#statemachine";
import type { WatchStream } from "../observer.ts";
import type { Scene } from "./client.ts";

type FromNode = { readonly kind: "output"; readonly output: WatchOutput } | { readonly kind: "end"; readonly refusal: Refusal };

/** Follows changes for a while, and moves to another node in the middle: by its own whim, or because it must. */
export function watchFor(scene: Scene, lifetimeMs: number): void {
  const { world, life } = scene;
  const untilMs = world.nowMs + lifetimeMs;
  const kinds = scene.any<readonly ObjectKind[]>([["work"], ["lock"], ["model", "model_version"], ["work", "job"], ["session"]]);
  const fromPast = Math.max(1, scene.board.revision - 20) as Revision;
  const begin = scene.any<Pick<WatchSpec, "fromRevision" | "snapshot">>([
    { fromRevision: 0 as Revision, snapshot: false },
    { fromRevision: 0 as Revision, snapshot: true },
    { fromRevision: fromPast, snapshot: false },
  ]);
  const watch = scene.notebook.nextWatch();
  const isOver = (): boolean => life.isOver || world.nowMs >= untilMs || scene.isDraining();

  const open = (spec: WatchSpec): void => {
    if (isOver()) return;
    const stream: WatchStream = { watch, node: scene.any(world.nodes), spec };
    let upTo: Revision | null = spec.snapshot || spec.fromRevision === 0 ? null : ((spec.fromRevision - 1) as Revision);
    let silence = { cancel: () => {} };
    let isClosed = false;
    const moveOn = (next: WatchSpec): void => {
      if (isClosed) return;
      isClosed = true;
      silence.cancel();
      whim.cancel();
      hangUp();
      world.after(scene.options.thinkMs * scene.random(), () => open(next));
    };
    // Before a snapshot is whole, or anything came at all, there is nothing to resume from.
    const resume = (): void => moveOn(upTo === null ? spec : { ...spec, snapshot: false, fromRevision: (upTo + 1) as Revision });
    const listen = (): void => {
      silence.cancel();
      silence = world.after(SILENCE_MS, resume);
    };
    const whim = world.after(lifetimeMs * scene.random(), resume);
    scene.notebook.tell.watching(stream);
    const hangUp = world.call<FromNode>(
      stream.node,
      (replica, answer) =>
        replica.watch(spec, {
          push: (output) => answer({ kind: "output", output }),
          end: (refusal) => answer({ kind: "end", refusal }),
        }),
      {
        onAnswer: (message) => {
          if (isClosed) return;
          if (message.kind === "output") {
            listen();
            const { revision, snapshot, snapshotEnd } = message.output;
            if (snapshot === null || snapshotEnd) upTo = revision;
            if (revision > scene.board.revision) scene.board.revision = revision;
            scene.notebook.tell.watched(stream, message.output);
          } else if (message.refusal.reason === "COMPACTED") {
            world.count("watch resumed after compaction");
            moveOn({ ...spec, snapshot: true, fromRevision: 0 as Revision });
          } else resume();
        },
        onBroken: resume,
      },
    );
    listen();
  };
  open({ ...begin, kinds, keyPrefix: "" });
}

/** Two bookmark intervals: a watch that says nothing for so long is not there any more. */
const SILENCE_MS = 10_000;
