import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { nodeAead } from "../../src/host/aead.ts";
import { RealCluster, ringraft } from "./real-cluster.ts";
import { withMembership } from "./swim-config.ts";

interface NodesBody {
  readonly boot: string;
  readonly nodes: readonly { readonly node_id: string; readonly state: string; readonly keys: readonly string[] }[];
  readonly traffic: { readonly rejected: Readonly<Record<string, number>> };
}

test(
  "a gossip key is rotated on three running nodes, one of which is away while the new one is taken into use, and nobody dies of it",
  { timeout: 600_000 },
  async (t) => {
    const [old, fresh] = [randomBytes(32), randomBytes(32)];
    const [oldName, freshName] = [old, fresh].map((key) => nodeAead.importKey(key).fingerprint.slice(0, 8)) as [string, string];
    const names = ["voter-1", "worker-1", "worker-2"];
    let folder = "";
    const keyFile = (name: string): string => join(folder, `${name}.key`);
    const configFile = (name: string): string => join(folder, `${name}.yaml`);
    const write = (path: string, ...keys: readonly Buffer[]): void =>
      writeFileSync(path, keys.map((key) => `${key.toString("base64")}\n`).join(""), { mode: 0o600 });
    const cluster = await RealCluster.prepare({
      voters: 1,
      workers: 2,
      serveOptions: (name) => ["--config", configFile(name)],
      // Each node has a configuration and a key file of its own, as on machines of its own.
      editConfig: (text, layout) => {
        folder = layout.folder;
        const whole = withMembership(text, layout);
        for (const name of names) {
          write(keyFile(name), old);
          writeFileSync(configFile(name), whole.replace(/key_file: .*/, `key_file: ${JSON.stringify(keyFile(name))}`));
        }
        return readFileSync(configFile("voter-1"), "utf8");
      },
    });
    t.after(() => cluster.stop());
    cluster.startAll();

    const nodes = async (of: string): Promise<NodesBody | null> => {
      try {
        const answer = await fetch(`http://127.0.0.1:${cluster.httpPort(of)}/v1/nodes`, { signal: AbortSignal.timeout(2_000) });
        return answer.ok ? ((await answer.json()) as NodesBody) : null;
      } catch {
        return null;
      }
    };
    const seen = async (name: string, state: string): Promise<void> => {
      await cluster.until(
        `${name} ${state} at voter-1`,
        async () => {
          const row = (await nodes("voter-1"))?.nodes.find(({ node_id: id }) => id === name);
          return row?.state === state ? true : null;
        },
        PATIENCE_SECONDS,
      );
    };
    const said: string[] = [];
    const run = (code: number, ...args: readonly string[]): string => {
      const ended = ringraft(["gossip-key", ...args]);
      said.push(ended.stdout, ended.stderr);
      assert.equal(ended.status, code, `${args.join(" ")}: ${ended.stdout}${ended.stderr}`);
      return ended.stdout + ended.stderr;
    };
    const everywhere = ["--config", cluster.layout.configFile];
    const at = (...those: readonly string[]): readonly string[] =>
      those.flatMap((name) => ["--http", `127.0.0.1:${cluster.httpPort(name)}`]);
    const newKey = join(folder, "new.key");
    write(newKey, fresh);

    await Promise.all(names.map((name) => seen(name, "alive")));
    assert.match(run(0, "list", ...everywhere), new RegExp(`^${oldName}: used by 3, installed at 3 of 3$`, "m"));

    run(3, "use", freshName, ...everywhere, "--timeout", "1");
    const some = run(4, "install", newKey, ...at("voter-1", "worker-1"), "--under", keyFile("voter-1"), "--timeout", "3");
    assert.match(some, new RegExp(`^${freshName}: used by 0, installed at 2 of 3, missing at worker-2$`, "m"));
    assert.match(run(4, "use", freshName, ...everywhere, "--timeout", "1"), /is not installed at worker-2; nothing was changed/);
    assert.match(run(0, "install", newKey, ...everywhere), new RegExp(`^installed ${freshName}: everybody who is there$`, "m"));

    await cluster.signal("worker-2", "SIGTERM");
    await seen("worker-2", "left");
    assert.match(run(0, "use", freshName, ...everywhere), new RegExp(`^worker-1 +alive +${freshName} +${oldName} +itself$`, "m"));
    cluster.startNode("worker-2");
    await seen("worker-2", "alive");
    assert.match(run(4, "remove", oldName, ...everywhere, "--timeout", "1"), /is still used by worker-2; nothing was changed/);
    run(0, "use", freshName, ...everywhere);
    run(0, "remove", oldName, ...everywhere);
    for (const name of names) {
      assert.equal(readFileSync(keyFile(name), "utf8"), `${fresh.toString("base64")}\n`, name);
      assert.equal(statSync(keyFile(name)).mode & 0o777, 0o600);
    }

    // Away during all of it: nobody opens what it says, until it uses the new key too.
    await cluster.signal("worker-2", "SIGTERM");
    await seen("worker-2", "left");
    write(keyFile("worker-2"), old, fresh);
    cluster.startNode("worker-2");
    await cluster.until(
      "a rejected packet",
      async () => (((await nodes("voter-1"))?.traffic.rejected["unknown-key"] ?? 0) > 0 ? true : null),
      PATIENCE_SECONDS,
    );
    await seen("worker-2", "left");
    run(0, "use", freshName, ...at("worker-2"));
    await seen("worker-2", "alive");
    run(0, "remove", oldName, ...everywhere);

    for (const name of ["voter-1", "worker-1"]) {
      const boot = await cluster.until(`an answer of ${name}`, async () => (await nodes(name))?.boot ?? null);
      assert.equal(boot, "1", `${name} has run all the time`);
    }
    for (const name of names) assert.doesNotMatch(cluster.log(name), /"member died"/, name);
    const words = [...said, ...names.map((name) => cluster.log(name))].join("\n");
    assert.match(words, /"gossip key: remove"/);
    for (const key of [old, fresh]) {
      for (const encoding of ["base64", "hex"] as const) assert.ok(!words.includes(key.toString(encoding)), encoding);
    }
    const typed = ringraft(["gossip-key", "install", fresh.toString("base64"), ...everywhere]);
    assert.deepEqual([typed.status, typed.stderr.includes(fresh.toString("base64"))], [2, false], typed.stderr);
  },
);

/** On a busy machine; an idle one needs a few. */
const PATIENCE_SECONDS = 180;
