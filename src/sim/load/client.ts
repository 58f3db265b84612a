import { NodeId, type Random } from "#kernel";
import { emptyCapabilities } from "#statemachine";
import type { ClientWorld } from "../world.ts";
import type { Board } from "./board.ts";
import { Life } from "./life.ts";
import type { Notebook } from "./notebook.ts";
import type { LoadOptions } from "./options.ts";
import { actions, askWhetherAllIsDone } from "./actions.ts";
import { workOn } from "./worker.ts";

/** What an action may use. `done` is called when the client may turn to the next thing; never called once the life is over. */
export interface Scene {
  readonly life: Life;
  readonly world: ClientWorld;
  readonly options: LoadOptions;
  readonly notebook: Notebook;
  readonly board: Board;
  readonly random: Random;
  readonly isDraining: () => boolean;
  /** `prefix-0` … : few of them. */
  readonly key: (prefix: string) => string;
  readonly chance: (probability: number) => boolean;
  readonly any: <T>(from: readonly T[]) => T;
}

/**
 * One client process: one lane does this and that, another works items off the queues. It dies and comes back, each time
 * with a new session.
 */
export class Client {
  readonly #number: number;
  readonly #world: ClientWorld;
  readonly #options: LoadOptions;
  readonly #notebook: Notebook;
  readonly #board: Board;
  #incarnation = 0;
  #draining = false;
  /** Set while the lane is in the middle of an action; its life may end there. */
  #stopActing: (() => void) | null = null;

  constructor(number: number, world: ClientWorld, options: LoadOptions, notebook: Notebook, board: Board) {
    this.#number = number;
    this.#world = world;
    this.#options = options;
    this.#notebook = notebook;
    this.#board = board;
  }

  start(): void {
    const { random } = this.#world;
    const life = new Life(this.#number, this.#world, this.#notebook, () => {
      this.#stopActing?.();
      // One of a few is soon back: while they are away nothing happens at all.
      const { clients, sessionTtlMs } = this.#options;
      this.#world.after((clients <= FEW ? SHORT_ABSENCE_MS : sessionTtlMs) * random(), () => this.start());
    });
    this.#incarnation += 1;
    const open = {
      kind: "openSession",
      nodeId: NodeId(`client-${this.#number}`),
      incarnation: this.#incarnation,
      principal: "",
      purpose: "simulated",
      ttlMs: this.#options.sessionTtlMs,
      capabilities: emptyCapabilities,
    } as const;
    life.open(open, () => {
      const scene = this.#scene(life);
      this.#lane(scene);
      workOn(scene);
    });
  }

  /** Only the queues are worked off from here on. */
  drain(): void {
    this.#draining = true;
  }

  #lane(scene: Scene): void {
    const { world, options, random } = scene;
    world.after(-options.thinkMs * Math.log(1 - random()), () => {
      if (scene.life.isOver || scene.board.isAllDone) return;
      if (this.#draining) this.#awaitTheEnd(scene);
      else this.#act(scene);
    });
  }

  #act(scene: Scene): void {
    const { board } = scene;
    board.acting += 1;
    this.#stopActing = () => {
      board.acting -= 1;
      this.#stopActing = null;
    };
    actions[scene.any(scene.options.actions)](scene, () => {
      this.#stopActing?.();
      this.#lane(scene);
    });
  }

  /** The first client asks whether the queues are empty; workers stop when they are, so that a run can end in silence. */
  #awaitTheEnd(scene: Scene): void {
    if (this.#number !== 1 || scene.life.isOver) return;
    const isQuiet = scene.board.acting === 0;
    askWhetherAllIsDone(scene, (isEmpty) => {
      scene.board.isAllDone = isQuiet && isEmpty;
      if (!scene.board.isAllDone) scene.world.after(ASK_EVERY_MS, () => this.#awaitTheEnd(scene));
    });
  }

  #scene(life: Life): Scene {
    const { random } = this.#world;
    const any = <T>(from: readonly T[]): T => from[Math.floor(random() * from.length)]!;
    return {
      life,
      world: this.#world,
      options: this.#options,
      notebook: this.#notebook,
      board: this.#board,
      random,
      isDraining: () => this.#draining,
      key: (prefix) => `${prefix}-${Math.floor(random() * this.#options.keys)}`,
      chance: (probability) => random() < probability,
      any,
    };
  }
}

const ASK_EVERY_MS = 500;
const FEW = 3;
const SHORT_ABSENCE_MS = 1_000;
