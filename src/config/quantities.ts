const DURATION_UNITS: ReadonlyMap<string, number> = new Map([
  ["ms", 1],
  ["s", 1_000],
  ["m", 60_000],
  ["h", 3_600_000],
]);
const BYTE_UNITS: ReadonlyMap<string, number> = new Map([
  ["B", 1],
  ["KiB", 1_024],
  ["MiB", 1_048_576],
  ["GiB", 1_073_741_824],
]);

/** Milliseconds from a number (milliseconds) or text ("250ms", "1.5s", "2m", "1h"); null when it is neither. */
export function parseDuration(value: unknown): number | null {
  return parseQuantity(value, DURATION_UNITS);
}

/** Bytes from a number or text ("64MiB", "512 KiB"); null when it is neither. */
export function parseBytes(value: unknown): number | null {
  return parseQuantity(value, BYTE_UNITS);
}

/** "1.5 s" or "250 ms": how messages name a duration. */
export function formatDuration(ms: number): string {
  return ms >= 1_000 ? `${ms / 1_000} s` : `${ms} ms`;
}

function parseQuantity(value: unknown, units: ReadonlyMap<string, number>): number | null {
  const amount = typeof value === "number" ? value : typeof value === "string" ? fromText(value, units) : null;
  return amount !== null && Number.isSafeInteger(amount) && amount >= 0 ? amount : null;
}

function fromText(text: string, units: ReadonlyMap<string, number>): number | null {
  const match = /^(\d{1,12}(?:\.\d{1,6})?) ?([A-Za-z]{1,3})$/.exec(text);
  const unit = units.get(match?.[2] ?? "");
  // Rounded: 1.1 × 1000 is not an integer in binary.
  return match === null || unit === undefined ? null : Math.round(Number(match[1]) * unit);
}
