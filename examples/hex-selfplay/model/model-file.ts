import { createHash } from "node:crypto";
import { closeSync, fsyncSync, mkdirSync, openSync, readFileSync, renameSync, writeSync } from "node:fs";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { BOARD } from "../game/board.ts";
import { LAYOUT, type Weights } from "./network.ts";

export const FORMAT = "hex-selfplay/1";

/** JSON with the weights as base64 of little-endian 32-bit floats. The same weights give the same bytes. */
export function modelBytes(weights: Weights): Buffer {
  const base64 = Buffer.from(weights.buffer, weights.byteOffset, weights.byteLength).toString("base64");
  return Buffer.from(`${JSON.stringify({ format: FORMAT, board: BOARD, weights: base64 })}\n`);
}

export function sha256Of(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

/** Durable and all or nothing: written beside, synced, renamed, directory synced. */
export function writeModel(path: string, bytes: Uint8Array): void {
  mkdirSync(dirname(path), { recursive: true });
  const unfinished = `${path}.${process.pid}.tmp`;
  const file = openSync(unfinished, "w");
  writeSync(file, bytes);
  fsyncSync(file);
  closeSync(file);
  renameSync(unfinished, path);
  const directory = openSync(dirname(path), "r");
  fsyncSync(directory);
  closeSync(directory);
}

/** Reads the file that a version names and checks it against the registry's sha256. Throws an Error that names both. */
export function readModel(version: { readonly sourceUri: string; readonly sha256: string }): Weights {
  const bytes = readFileSync(fileURLToPath(version.sourceUri));
  const sha256 = sha256Of(bytes);
  if (sha256 !== version.sha256)
    throw new Error(`${version.sourceUri} has sha256 ${sha256}, the registry says ${version.sha256}`);
  const file = JSON.parse(bytes.toString()) as { readonly format?: string; readonly weights?: string };
  if (file.format !== FORMAT || typeof file.weights !== "string")
    throw new Error(`${version.sourceUri} has format ${file.format ?? "none"}, not ${FORMAT}`);
  const raw = Buffer.from(file.weights, "base64");
  const weights = new Float32Array(LAYOUT.length);
  if (raw.length !== weights.byteLength)
    throw new Error(`${version.sourceUri} holds ${raw.length} bytes of weights, not ${weights.byteLength}`);
  for (let i = 0; i < weights.length; i++) weights[i] = raw.readFloatLE(i * 4);
  return weights;
}
