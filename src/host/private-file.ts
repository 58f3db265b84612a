import { closeSync, fstatSync, openSync, readFileSync } from "node:fs";
import { exitCodes } from "#kernel";
import { StartError } from "./start-error.ts";

/** The text of a file with a secret, named by `setting`. Throws {@link StartError} (exit 78) when it cannot be read, or others may open it. */
export function readPrivateFile(setting: string, path: string): string {
  try {
    const descriptor = openSync(path, "r");
    try {
      const { mode } = fstatSync(descriptor);
      if ((mode & 0o077) !== 0) {
        const octal = (mode & 0o777).toString(8).padStart(4, "0");
        const message = `${setting}: ${path} may be opened by others (mode ${octal})`;
        throw new StartError(exitCodes.config, message, `chmod 600 ${path}`);
      }
      return readFileSync(descriptor, "utf8");
    } finally {
      closeSync(descriptor);
    }
  } catch (error) {
    if (error instanceof StartError) throw error;
    throw new StartError(exitCodes.config, `${setting}: ${path} cannot be read: ${(error as Error).message}`, null);
  }
}
