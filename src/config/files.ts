import { closeSync, fstatSync, openSync, readSync, type Stats } from "node:fs";
import { MAX_FILE_BYTES } from "./document.ts";
import type { Finding } from "./problem.ts";
import type { NodeConfig } from "./types.ts";

export type FileText =
  | { readonly ok: true; readonly text: string }
  | { readonly ok: false; readonly missing: boolean; readonly why: string };

/** Reads a small text file, or says in plain words why not. */
export function readSmallFile(path: string): FileText {
  const opened = open(path);
  if (!opened.ok) return opened;
  try {
    const { stats, descriptor } = opened;
    if (stats.isDirectory()) return failed("is a directory");
    if (!stats.isFile()) return failed("is not a regular file");
    if (stats.size > MAX_FILE_BYTES) return failed(`has ${stats.size} bytes, over the limit of ${MAX_FILE_BYTES}`);
    // One byte more than allowed: a file that grows while it is read is caught too.
    const buffer = Buffer.alloc(MAX_FILE_BYTES + 1);
    let length = 0;
    for (let read = -1; read !== 0 && length < buffer.length; length += read) {
      read = readSync(descriptor, buffer, length, buffer.length - length, null);
    }
    if (length > MAX_FILE_BYTES) return failed(`is over the limit of ${MAX_FILE_BYTES} bytes`);
    return { ok: true, text: new TextDecoder("utf-8", { fatal: true }).decode(buffer.subarray(0, length)) };
  } catch (error) {
    return failed(error instanceof TypeError ? "is not UTF-8 text" : `cannot be read: ${message(error)}`);
  } finally {
    closeSync(opened.descriptor);
  }
}

/** Every TLS file that the configuration names must be there now, not at the first handshake, and a key must be private. */
export function checkTlsFiles(tls: NodeConfig["tls"]): readonly Finding[] {
  const findings: Finding[] = [];
  for (const listener of ["peer", "client"] as const) {
    for (const part of ["ca", "cert", "key"] as const) {
      const path = tls[listener]?.[part];
      const wrong = path === undefined ? null : whyNotPem(path, part);
      if (wrong !== null) findings.push({ path: ["tls", listener, part], message: `${path} ${wrong}` });
    }
  }
  return findings;
}

function whyNotPem(path: string, part: "ca" | "cert" | "key"): string | null {
  const file = readSmallFile(path);
  if (!file.ok) return file.why;
  const block = part === "key" ? /-----BEGIN (?:[A-Z]+ )?PRIVATE KEY-----/ : /-----BEGIN CERTIFICATE-----/;
  if (!block.test(file.text)) return `holds no PEM ${part === "key" ? "private key" : "certificate"}`;
  const opened = open(path);
  if (!opened.ok) return opened.why;
  closeSync(opened.descriptor);
  const mode = opened.stats.mode & 0o777;
  if (part === "key" && (mode & 0o007) !== 0) {
    return `is a private key that everybody on this machine may open (mode ${mode.toString(8).padStart(4, "0")}): chmod 600`;
  }
  return null;
}

type Opened =
  | { readonly ok: true; readonly descriptor: number; readonly stats: Stats }
  | { readonly ok: false; readonly missing: boolean; readonly why: string };

function open(path: string): Opened {
  try {
    const descriptor = openSync(path, "r");
    return { ok: true, descriptor, stats: fstatSync(descriptor) };
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === "ENOENT" || code === "ENOTDIR") return { ok: false, missing: true, why: "does not exist" };
    return {
      ok: false,
      missing: false,
      why: code === "EACCES" ? "cannot be read: permission denied" : `cannot be read: ${message(error)}`,
    };
  }
}

function failed(why: string): FileText {
  return { ok: false, missing: false, why };
}

function message(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
