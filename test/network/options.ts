export interface NetworkOptions {
  /** The process that removes the namespaces in the end, however the test ends. */
  readonly guard: number;
  /** For configuration, data and logs; removed in the end, too. */
  readonly folder: string;
  /** How long a state must hold. */
  readonly minutes: number;
  /** Of the large cluster. */
  readonly nodes: number;
}
