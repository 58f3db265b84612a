import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { Item } from "./item.ts";

/** The test of hostile datagrams, with so many: it needs the inside of the core's room, which only its tests enter. */
export function hostileDatagrams(count: number, root: URL): Item {
  const name = `${count} hostile datagrams`;
  const test = fileURLToPath(new URL("test/membership/swim/hostile-datagrams.test.ts", root));
  return {
    name,
    // About a minute.
    cost: 12 * 36 * 3_600_000,
    run: () => {
      const env = { ...process.env, HOSTILE_DATAGRAMS: String(count) };
      const { status, stdout } = spawnSync(process.execPath, ["--test", test], { env, encoding: "utf8" });
      const problem = /^\s*(?:error|message): (.*)$/m.exec(stdout)?.[1] ?? "the test failed";
      const expected = "no exception, no change, no reply, each counted as rejected";
      return Promise.resolve([{ name, expected, found: status === 0 ? "so it is" : problem, holds: status === 0 }]);
    },
  };
}
