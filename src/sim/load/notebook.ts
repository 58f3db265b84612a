import type { Observer } from "../observer.ts";
import type { Operation, OperationOutcome, OperationRequest } from "../history.ts";

/** What the clients tell the checkers. */
export type Teller = Pick<Required<Observer>, "invoked" | "returned" | "leased" | "watching" | "watched">;

/** The history as it is written: every operation of every client, numbered in the order of their calls. */
export class Notebook {
  readonly #tell: Teller;
  #operations = 0;
  #watches = 0;
  #values = 0;
  open = 0;
  acknowledged = 0;

  constructor(tell: Teller) {
    this.#tell = tell;
  }

  begin(client: number, request: OperationRequest, calledMs: number): Operation {
    const operation: Operation = { number: (this.#operations += 1), client, request, calledMs, outcome: null };
    this.open += 1;
    this.#tell.invoked(operation);
    return operation;
  }

  end(operation: Operation, outcome: OperationOutcome): void {
    this.open -= 1;
    if (outcome.kind === "ok") this.acknowledged += 1;
    operation.outcome = outcome;
    this.#tell.returned(operation);
  }

  /** A value that no other operation of this run writes. */
  uniqueValue(): string {
    return `v${(this.#values += 1)}`;
  }

  nextWatch(): number {
    return (this.#watches += 1);
  }

  get tell(): Teller {
    return this.#tell;
  }
}
