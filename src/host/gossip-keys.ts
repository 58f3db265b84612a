import { closeSync, fstatSync, openSync, readFileSync } from "node:fs";
import { exitCodes } from "#kernel";
import { StartError } from "./start-error.ts";

const KEY_BYTES = 32;
const MAX_KEYS = 8;

/**
 * The keys of `membership.key_file`: one a line, 32 bytes in base64 or hex; the first one seals, all of them open. Empty lines and
 * those that begin with # are skipped. Throws {@link StartError} (exit 78); the message never shows what the file holds.
 */
export function readGossipKeys(path: string): readonly Uint8Array[] {
  const lines = readPrivate(path)
    .split("\n")
    .map((line, at) => ({ text: line.trim(), number: at + 1 }))
    .filter(({ text }) => text !== "" && !text.startsWith("#"));
  if (lines.length === 0) throw wrong(path, "holds no key", MAKE_ONE);
  if (lines.length > MAX_KEYS) throw wrong(path, `holds ${lines.length} keys, at most ${MAX_KEYS} are used`, null);
  return lines.map(({ text, number }) => {
    const key = readKey(text);
    if (key === null) throw wrong(path, `line ${number} is not a key of 32 bytes in base64 or hex`, MAKE_ONE);
    return key;
  });
}

const MAKE_ONE = "Make one with: openssl rand -base64 32";

function readKey(text: string): Uint8Array | null {
  const encoding = /^[0-9A-Fa-f]{64}$/.test(text) ? "hex" : /^[A-Za-z0-9+/]{43}=$/.test(text) ? "base64" : null;
  const key = encoding === null ? null : new Uint8Array(Buffer.from(text, encoding));
  return key?.length === KEY_BYTES ? key : null;
}

function readPrivate(path: string): string {
  let descriptor: number;
  try {
    descriptor = openSync(path, "r");
  } catch (error) {
    throw wrong(path, `cannot be read: ${(error as Error).message}`, null);
  }
  try {
    const { mode } = fstatSync(descriptor);
    if ((mode & 0o077) !== 0) {
      const octal = (mode & 0o777).toString(8).padStart(4, "0");
      throw wrong(path, `may be opened by others (mode ${octal})`, `chmod 600 ${path}`);
    }
    return readFileSync(descriptor, "utf8");
  } finally {
    closeSync(descriptor);
  }
}

function wrong(path: string, what: string, hint: string | null): StartError {
  return new StartError(exitCodes.config, `membership.key_file: ${path} ${what}`, hint);
}
