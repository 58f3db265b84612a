import { type FencingToken, type Refusal, refusal } from "#kernel";
import { codecLimits } from "./limits.ts";

/** Ends the decoding of one command; {@link Refusal} is what the caller gets. Never leaves the codec. */
export class FieldRefused extends Error {
  override readonly name = "FieldRefused";
  readonly refusal: Refusal;
  constructor(refused: Refusal) {
    super(refused.message);
    this.refusal = refused;
  }
}

/**
 * Where a field stands: the path of the message that holds it (`spec.`, `items[3].`, empty at the top) and its own name.
 * Two parts, so that the path is put together only for a refusal.
 */
export type Path = string;

export function invalid(at: Path, field: string, complaint: string): FieldRefused {
  return new FieldRefused(refusal("INVALID_ARGUMENT", `${at}${field} ${complaint}`, { field: at + field }));
}

/** Refuses a field that the protocol names and this version does not do, unless it says nothing. */
export function notDoneYet(present: boolean, at: Path, field: string): void {
  if (!present) return;
  throw new FieldRefused(refusal("UNIMPLEMENTED", `${at}${field} is not supported by this version`, { field: at + field }));
}

/** A name, key or id that must be there. */
export function name(value: string, at: Path, field: string): string {
  if (value === "") throw invalid(at, field, "is required");
  return optionalName(value, at, field);
}

export function optionalName(value: string, at: Path, field: string): string {
  checkBytes(value, codecLimits.maxNameBytes, at, field);
  for (let i = 0; i < value.length; i++) {
    const unit = value.charCodeAt(i);
    if (unit < 0x20 || unit === 0x7f) throw invalid(at, field, "must not hold control characters");
  }
  return value;
}

/** Free text for people; may be empty. */
export function text(value: string, at: Path, field: string): string {
  return checkBytes(value, codecLimits.maxTextBytes, at, field);
}

/** `payload` and `result`: opaque text. */
export function payload(value: string, at: Path, field: string): string {
  return checkBytes(value, codecLimits.maxPayloadBytes, at, field);
}

export function range(value: number, least: number, most: number, at: Path, field: string): number {
  if (!(value >= least && value <= most)) throw invalid(at, field, `must be from ${least} to ${most}, got ${value}`);
  return value;
}

export function finite(value: number, at: Path, field: string): number {
  if (!Number.isFinite(value)) throw invalid(at, field, `must be a finite number, got ${value}`);
  return value;
}

export function duration(value: number, at: Path, field: string): number {
  return range(value, 0, codecLimits.maxDurationMs, at, field);
}

export function token(value: number, at: Path, field: string): FencingToken {
  if (value === 0) throw invalid(at, field, "is required");
  return value as FencingToken;
}

export function count(length: number, least: number, most: number, at: Path, field: string): void {
  if (length === 0 && least > 0) throw invalid(at, field, "is required");
  if (length < least || length > most) throw invalid(at, field, `must have ${least} to ${most} entries, got ${length}`);
}

/** A map of names to texts (labels, tags). Returned as it is: the decoder made it for us. */
export function texts(map: Readonly<Record<string, string>>, at: Path, field: string): Readonly<Record<string, string>> {
  let entries = 0;
  for (const key in map) {
    entries++;
    name(key, at, `${field} key`);
    text(map[key]!, at, `${field}.${key}`);
  }
  count(entries, 0, codecLimits.maxEntries, at, field);
  return map;
}

export function numbers(map: Readonly<Record<string, number>>, at: Path, field: string): Readonly<Record<string, number>> {
  let entries = 0;
  for (const key in map) {
    entries++;
    name(key, at, `${field} key`);
    finite(map[key]!, at, `${field}.${key}`);
  }
  count(entries, 0, codecLimits.maxEntries, at, field);
  return map;
}

function checkBytes(value: string, most: number, at: Path, field: string): string {
  // A UTF-16 unit has at most three bytes in UTF-8: most values need no counting.
  if (value.length * 3 <= most) return value;
  const bytes = Buffer.byteLength(value, "utf8");
  if (bytes > most) throw invalid(at, field, `has ${bytes} bytes, at most ${most} are accepted`);
  return value;
}
