import { createHash } from "node:crypto";
import type { NodeConfig } from "#config";
import { exitCodes } from "#kernel";
import { readPrivateFile } from "./private-file.ts";
import { StartError } from "./start-error.ts";

const MIN_CHARACTERS = 16;

/**
 * SHA-256 of the admin key in hex, or null when there is none: then only callers on this machine may change anything over
 * HTTP. The key comes from `admin.key_file` or RINGRIFT_ADMIN_KEY. Throws {@link StartError} (exit 78).
 */
export function adminKeyHash(config: NodeConfig, env: Readonly<Record<string, string | undefined>>): string | null {
  const fromEnvironment = env["RINGRIFT_ADMIN_KEY"]?.trim() || null;
  const fromFile = config.adminKeyFile === null ? null : readPrivateFile("admin.key_file", config.adminKeyFile).trim();
  if (fromEnvironment !== null && fromFile !== null && fromEnvironment !== fromFile) {
    throw wrong(`RINGRIFT_ADMIN_KEY and admin.key_file (${config.adminKeyFile}) hold different keys`, "Keep one of the two.");
  }
  const key = fromFile ?? fromEnvironment;
  if (key === null) return null;
  if (key.length < MIN_CHARACTERS || !/^[\x21-\x7e]+$/.test(key)) {
    const source = fromFile === null ? "RINGRIFT_ADMIN_KEY" : `admin.key_file: ${config.adminKeyFile}`;
    throw wrong(`${source} must hold at least ${MIN_CHARACTERS} printable characters`, "Make one with: openssl rand -hex 32");
  }
  return createHash("sha256").update(key).digest("hex");
}

function wrong(message: string, hint: string | null): StartError {
  return new StartError(exitCodes.config, message, hint);
}
