/** A broken promise of our own code. Never caught for control flow: the node that sees one stops (Fatal). */
export class InvariantError extends Error {
  override readonly name = "InvariantError";
  readonly code = "INVARIANT";
}

/** Throws {@link InvariantError} unless `holds`. Give the numbers in `message`: they are all that is left after a crash. */
export function invariant(holds: boolean, message: string): asserts holds {
  if (!holds) throw new InvariantError(message);
}

/** Closes an exhaustive switch: does not compile while a case is missing. */
export function assertNever(value: never, what: string): never {
  throw new InvariantError(`unexpected ${what}: ${JSON.stringify(value)}`);
}
