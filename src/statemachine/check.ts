import { type Outcome, type Refusal, refusal, refused } from "#kernel";
import { fixedLimits } from "./limits.ts";

/** "No" to one field, in the protocol's spelling. */
export function invalid(field: string, problem: string): Refusal {
  return refusal("INVALID_ARGUMENT", `${field} ${problem}`, { field });
}

export const refuse = (reason: Refusal["reason"], message: string, field?: string): Outcome<never> =>
  refused(refusal(reason, message, field === undefined ? {} : { field }));

/** The refusal of the first check that failed. */
export function firstOf(...checks: readonly (Refusal | null)[]): Refusal | null {
  for (const check of checks) if (check !== null) return check;
  return null;
}

/** A name that must be there: one to 256 bytes. */
export function checkName(field: string, name: string): Refusal | null {
  return name === "" ? invalid(field, "must not be empty") : checkText(field, name, fixedLimits.nameBytes);
}

export function checkText(field: string, text: string, maxBytes: number): Refusal | null {
  if (fitsBytes(text, maxBytes)) return null;
  return invalid(field, `is longer than ${maxBytes} bytes`);
}

export function checkCount(field: string, n: number, min: number, max: number): Refusal | null {
  if (Number.isSafeInteger(n) && n >= min && n <= max) return null;
  return invalid(field, `must be an integer from ${min} to ${max}, got ${n}`);
}

export function checkDuration(field: string, ms: number): Refusal | null {
  return checkCount(field, ms, 0, fixedLimits.durationMs);
}

/** Labels, tags: at most 64 pairs, keys like names, values up to 4,096 bytes. */
export function checkTextMap(field: string, map: Readonly<Record<string, string>>): Refusal | null {
  const entries = Object.entries(map);
  if (entries.length > fixedLimits.mapEntries) return invalid(field, `has more than ${fixedLimits.mapEntries} entries`);
  for (const [key, value] of entries) {
    const problem = checkName(`${field}.key`, key) ?? checkText(`${field}.${key}`, value, fixedLimits.textBytes);
    if (problem !== null) return problem;
  }
  return null;
}

export function checkNumberMap(field: string, map: Readonly<Record<string, number>>): Refusal | null {
  const entries = Object.entries(map);
  if (entries.length > fixedLimits.mapEntries) return invalid(field, `has more than ${fixedLimits.mapEntries} entries`);
  for (const [key, value] of entries) {
    const problem = checkName(`${field}.key`, key);
    if (problem !== null) return problem;
    if (!Number.isFinite(value)) return invalid(`${field}.${key}`, `must be a finite number, got ${value}`);
  }
  return null;
}

/** Whether the UTF-8 form fits; counts only where the number of UTF-16 units leaves it open. */
function fitsBytes(text: string, maxBytes: number): boolean {
  if (text.length * 3 <= maxBytes) return true;
  if (text.length > maxBytes) return false;
  let bytes = 0;
  for (let i = 0; i < text.length; i += 1) {
    const unit = text.charCodeAt(i);
    // A surrogate is half of a four-byte character.
    if (unit < 0x80) bytes += 1;
    else if (unit < 0x800 || (unit >= 0xd800 && unit <= 0xdfff)) bytes += 2;
    else bytes += 3;
  }
  return bytes <= maxBytes;
}
