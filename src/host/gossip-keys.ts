import { exitCodes } from "#kernel";
import { readPrivateFile } from "./private-file.ts";
import { StartError } from "./start-error.ts";

const SETTING = "membership.key_file";
const KEY_BYTES = 32;
const MAX_KEYS = 8;

/**
 * The keys of `membership.key_file`: one a line, 32 bytes in base64 or hex; the first one seals, all of them open. Empty lines and
 * those that begin with # are skipped. Throws {@link StartError} (exit 78); the message never shows what the file holds.
 */
export function readGossipKeys(path: string): readonly Uint8Array[] {
  const lines = readPrivateFile(SETTING, path)
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

function wrong(path: string, what: string, hint: string | null): StartError {
  return new StartError(exitCodes.config, `${SETTING}: ${path} ${what}`, hint);
}
