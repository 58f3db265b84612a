import { readFileSync } from "node:fs";

/** Of package.json, which stands beside src/ and is written beside the built code too. */
export const version: string = String(
  (JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8")) as { version: unknown }).version,
);
