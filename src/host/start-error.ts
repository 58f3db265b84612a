import { ExitError, exitCodes } from "#kernel";
import { StorageError, type StorageErrorCode } from "#storage";

/** Why a node does not start (or cannot go on), with the exit code that tells a supervisor whether to try again. */
export class StartError extends ExitError {
  override readonly name = "StartError";

  /** What stopped the start, as one message with an exit code of docs/errors.md. */
  static from(error: unknown): StartError {
    if (error instanceof StartError) return error;
    if (error instanceof StorageError)
      return new StartError(storageExits[error.code], error.message, error.hint, { cause: error });
    const listener = listenerExit(error);
    if (listener !== null) return new StartError(listener, (error as Error).message, null, { cause: error });
    const message = error instanceof Error ? error.message : String(error);
    return new StartError(exitCodes.failed, message, null, { cause: error });
  }
}

const storageExits = {
  CORRUPT: exitCodes.io,
  AMBIGUOUS: exitCodes.io,
  IO_FAILED: exitCodes.io,
  TOO_LARGE: exitCodes.io,
  NOT_FOUND: exitCodes.io,
  CLOSED: exitCodes.io,
  FORMAT_TOO_NEW: exitCodes.config,
  WRONG_CLUSTER: exitCodes.config,
  WRONG_NODE: exitCodes.config,
  UNUSABLE_DIRECTORY: exitCodes.config,
  IN_USE: exitCodes.temporary,
} as const satisfies Record<StorageErrorCode, number>;

/** A port in use may be free again at the next try; one that may not be opened, or an address that is not ours, will not. */
function listenerExit(error: unknown): number | null {
  const code = error instanceof Error && "code" in error ? error.code : null;
  if (code === "EADDRINUSE") return exitCodes.temporary;
  return code === "EACCES" || code === "EADDRNOTAVAIL" ? exitCodes.config : null;
}
