import { open, readFile, realpath, rename, rm } from "node:fs/promises";
import { dirname } from "node:path";
import { exitCodes } from "#kernel";
import { nodeAead } from "./aead.ts";
import { readPrivateFile } from "./private-file.ts";
import { StartError } from "./start-error.ts";

const SETTING = "membership.key_file";
export const KEY_BYTES = 32;
export const MAX_KEYS = 8;

/**
 * The keys of `membership.key_file`: one a line, 32 bytes in base64 or hex; the first one seals, all of them open. Empty lines and
 * those that begin with # are skipped. Throws {@link StartError} (exit 78); the message never shows what the file holds.
 */
export function readGossipKeys(path: string): readonly Uint8Array[] {
  return parseGossipKeys(readPrivateFile(SETTING, path), `${SETTING}: ${path}`);
}

/** The same from any text, which `source` names. */
export function parseGossipKeys(text: string, source: string): readonly Uint8Array[] {
  const lines = text
    .split("\n")
    .map((line, at) => ({ text: line.trim(), number: at + 1 }))
    .filter((line) => isKeyLine(line.text));
  if (lines.length === 0) throw wrong(source, "holds no key", MAKE_ONE);
  if (lines.length > MAX_KEYS) throw wrong(source, `holds ${lines.length} keys, at most ${MAX_KEYS} are used`, null);
  return lines.map((line) => {
    const key = readKey(line.text);
    if (key === null) throw wrong(source, `line ${line.number} is not a key of 32 bytes in base64 or hex`, MAKE_ONE);
    return key;
  });
}

/**
 * Replaces the keys of the file: all of them or, after a crash, none. Comments move above the keys, and a key that stays keeps
 * its spelling. Rejects with {@link StartError} where the folder is closed to this node, else with the system's error; then the
 * file is as it was, unless the disk fails after it was replaced.
 */
export async function rewriteGossipKeys(path: string, keys: readonly Uint8Array[]): Promise<void> {
  // A link stays a link: what it points to is replaced.
  const file = await realpath(path);
  const old = (await readFile(file, "utf8")).split("\n").map((line) => line.trim());
  const spelt = new Map(old.filter(isKeyLine).map((line) => [hexOf(readKey(line)), line]));
  const lines = keys.map((key) => spelt.get(hexOf(key)) ?? Buffer.from(key).toString("base64"));
  const text = [...old.filter((line) => line.startsWith("#")), ...lines, ""].join("\n");
  const draft = `${file}.tmp`;
  const folder = await open(dirname(file), "r").catch((error: unknown) => Promise.reject(whyClosed(path, file, error)));
  try {
    await writeSynced(draft, text);
    await rename(draft, file);
    await folder.sync();
  } catch (error) {
    await rm(draft, { force: true }).catch(() => {});
    throw whyClosed(path, file, error);
  } finally {
    await folder.close();
  }
}

/** A file can be replaced as a whole only where its folder may be written, whatever the mode of the file itself. */
function whyClosed(path: string, file: string, error: unknown): unknown {
  const { code } = error as NodeJS.ErrnoException;
  if (code !== "EACCES" && code !== "EPERM" && code !== "EROFS") return error;
  const message = `${SETTING}: ${path} cannot be replaced: its folder ${dirname(file)} is not writable for this node (${code})`;
  const hint =
    `Name ${dirname(file)} under ReadWritePaths= of the unit and give the folder to the node's user, ` +
    "or change the file by hand first and then run the command again.";
  return new StartError(exitCodes.config, message, hint, { cause: error });
}

/** As operators read and type a key, and as members tell each other of it: the beginning of its fingerprint. */
export function gossipKeyName(key: Uint8Array): string {
  return nodeAead.importKey(key).fingerprint.slice(0, 8);
}

async function writeSynced(path: string, text: string): Promise<void> {
  const file = await open(path, "w", 0o600);
  try {
    // A draft that a crash left behind may have any mode.
    await file.chmod(0o600);
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
}

function isKeyLine(line: string): boolean {
  return line !== "" && !line.startsWith("#");
}

function hexOf(key: Uint8Array | null): string {
  return key === null ? "" : Buffer.from(key).toString("hex");
}

const MAKE_ONE = "Make one with: openssl rand -base64 32";

function readKey(text: string): Uint8Array | null {
  const encoding = /^[0-9A-Fa-f]{64}$/.test(text) ? "hex" : /^[A-Za-z0-9+/]{43}=$/.test(text) ? "base64" : null;
  const key = encoding === null ? null : new Uint8Array(Buffer.from(text, encoding));
  return key?.length === KEY_BYTES ? key : null;
}

function wrong(source: string, what: string, hint: string | null): StartError {
  return new StartError(exitCodes.config, `${source} ${what}`, hint);
}
