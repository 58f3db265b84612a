import { assertNever } from "#kernel";
import type { Dice } from "../time/random.ts";
import type { Machine } from "./machine.ts";
import type { Selector, SelectorTerm, SwimScript } from "./scenario/script.ts";

/** Turns the nodes that a script names into machines. Groups are drawn once, at the start; `random` is drawn anew each time. */
export class Selection {
  readonly #nodes: readonly Machine[];
  readonly #dice: Dice;
  readonly #mayFail: (machine: Machine) => boolean;
  readonly #groups = new Map<string, readonly Machine[]>();

  /** `mayFail`: whom a random choice may fall on. */
  constructor(script: SwimScript, nodes: readonly Machine[], dice: Dice, mayFail: (machine: Machine) => boolean) {
    this.#nodes = nodes;
    this.#dice = dice;
    this.#mayFail = mayFail;
    for (const [name, selector] of script.groups)
      this.#groups.set(
        name,
        this.#draw(selector, (machine) => !this.#isGrouped(machine)),
      );
  }

  machines(selector: Selector): readonly Machine[] {
    return this.#draw(selector, this.#mayFail);
  }

  has(selector: Selector, machine: Machine): boolean {
    return this.machines(selector).includes(machine);
  }

  #isGrouped(machine: Machine): boolean {
    return [...this.#groups.values()].some((group) => group.includes(machine));
  }

  #draw(selector: Selector, mayBeDrawn: (machine: Machine) => boolean): readonly Machine[] {
    const found = new Set<Machine>();
    for (const term of selector) {
      for (const machine of this.#term(term, (each) => mayBeDrawn(each) && !found.has(each))) found.add(machine);
    }
    return [...found];
  }

  #term(term: SelectorTerm, mayBeDrawn: (machine: Machine) => boolean): readonly Machine[] {
    switch (term.kind) {
      case "all":
        return this.#nodes;
      case "nodes":
        return this.#nodes.slice(term.from, term.to + 1);
      case "group":
        return this.#groups.get(term.name)!;
      case "relay-of": {
        const best = this.#nodes[term.node]!.process?.view().self.relays[0];
        return this.#nodes.filter(({ id }) => id === best);
      }
      case "random":
        return this.#dice.shuffled(this.#nodes.filter(mayBeDrawn)).slice(0, term.count);
      default:
        return assertNever(term, "selector");
    }
  }
}
