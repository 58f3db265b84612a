export interface NetworkOptions {
  /** The process that removes the namespaces in the end. */
  readonly guard: number;
  /** How long a state must hold. */
  readonly minutes: number;
  /** Of the large cluster. */
  readonly nodes: number;
}
