/** A failure that ends a command or a process: one message, the exit code that tells its kind, and a way out where there is one. */
export class ExitError extends Error {
  override readonly name: string = "ExitError";
  readonly exitCode: number;
  readonly hint: string | null;
  constructor(exitCode: number, message: string, hint: string | null = null, options?: ErrorOptions) {
    super(message, options);
    this.exitCode = exitCode;
    this.hint = hint;
  }
}
