import { randomBytes } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { DevLayout } from "../../src/cli/dev/layout.ts";

/** Every node gets a port for membership between its status port and its peer port, and all share one key. */
export function withMembership(text: string, layout: DevLayout, section = ""): string {
  const keyFile = join(layout.folder, "gossip.key");
  writeFileSync(keyFile, `${randomBytes(32).toString("base64")}\n`, { mode: 0o600 });
  const bound = layout.nodes.reduce(
    (file, { ports: { http } }) =>
      file.replace(
        `      ports:\n        http: ${http}\n`,
        `      membership:\n        bind: "127.0.0.1:${http + 1}"\n      ports:\n        http: ${http}\n`,
      ),
    text,
  );
  return `${bound}membership:\n  key_file: ${JSON.stringify(keyFile)}\n${section}`;
}
