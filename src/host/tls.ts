import { readFileSync } from "node:fs";
import type { TlsFiles } from "#config";
import { exitCodes } from "#kernel";
import type { TlsMaterial } from "./peer-grpc/index.ts";
import { StartError } from "./start-error.ts";

/** PEM contents of the configured files; null where TLS is not configured. */
export function readTls(files: TlsFiles | null): TlsMaterial | null {
  return files === null ? null : { ca: readPem(files.ca), cert: readPem(files.cert), key: readPem(files.key) };
}

function readPem(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    throw new StartError(exitCodes.config, `TLS file ${path} cannot be read: ${(error as Error).message}`, null, {
      cause: error,
    });
  }
}
