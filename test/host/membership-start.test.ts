import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { loadConfig } from "#config";
import { seededRandom } from "#kernel";
import { Membership } from "#membership";
import { nodeAead } from "../../src/host/aead.ts";
import { membershipStart } from "../../src/host/membership.ts";
import { FakeNetwork } from "../membership/shell/fake-world.ts";

test("whatever a worker's queues are called, and however many there are, its record can be told", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "ringraft-membership-"));
  t.after(() => rmSync(folder, { recursive: true }));
  writeFileSync(join(folder, "gossip.key"), randomBytes(32).toString("base64"), { mode: 0o600 });
  const queues = ["entraînement", "q".repeat(65), ...Array.from({ length: 20 }, (_, at) => `${at}-`.padEnd(64, "x")), "short"];
  const file = join(folder, "cluster.yaml");
  const hosts = `hosts: {v: {host: 192.0.2.1}, w: {host: 192.0.2.2, tailscale_ip: "2001:db8:ffff:ffff:ffff:ffff:ffff:1", provider: ${"p".repeat(64)}}}`;
  writeFileSync(
    file,
    `node_id: w\nvoters: [v]\ninsecure: true\nmembership: {key_file: gossip.key}\n${hosts}\nworker: {queues: ${JSON.stringify(queues)}}\n`,
  );
  const loaded = loadConfig({ file, env: {} });
  assert.ok(loaded.ok, JSON.stringify(loaded));
  const { setup, machine } = membershipStart(loaded.config)!;
  assert.deepEqual(
    setup.metadata.capabilities.map((queue) => queue.slice(0, 6)),
    ["0-xxxx", "1-xxxx", "2-xxxx"],
  );
  const { loop, ...sockets } = new FakeNetwork().node("192.0.2.2:8771");
  const node = new Membership(
    setup,
    { epoch: 1, members: [], wallMs: null },
    {
      clock: loop.clock,
      timers: loop.timers,
      random: seededRandom(1),
      aead: nodeAead,
      sockets,
      get: () => Promise.resolve({ kind: "failed", why: "refused" }),
      resolve: () => Promise.resolve([]),
      machine,
      onSwimEvent: () => {},
      onHttpEvent: () => {},
      onUnresolved: () => {},
    },
  );
  const joined = await node.join();
  assert.ok(joined.ok, JSON.stringify(joined));
});

test("datagrams too short for what a node says of itself stop its start, and the message has the numbers", (t) => {
  const folder = mkdtempSync(join(tmpdir(), "ringraft-membership-"));
  t.after(() => rmSync(folder, { recursive: true }));
  writeFileSync(join(folder, "gossip.key"), randomBytes(32).toString("base64"), { mode: 0o600 });
  const start = (queues: number): unknown => {
    const file = join(folder, "cluster.yaml");
    const names = Array.from({ length: queues }, (_, at) => `queue-number-${at}`);
    const head = "node_id: w\nvoters: [v]\ninsecure: true\nmembership: {key_file: gossip.key, swim: {datagram_size: 576}}\n";
    const hosts = "hosts: {v: {host: 192.0.2.1}, w: {host: 192.0.2.2}}\n";
    writeFileSync(file, `${head}${hosts}worker: {queues: ${JSON.stringify(names)}}\n`);
    const loaded = loadConfig({ file, env: {} });
    assert.ok(loaded.ok, JSON.stringify(loaded));
    return membershipStart(loaded.config);
  };
  start(1);
  assert.throws(() => start(8), {
    exitCode: 78,
    message:
      /^membership\.swim\.datagram_size: 576 bytes are too few for this node: the member's record takes \d+ bytes, over the \d+ that/,
    hint: "Raise it, advertise fewer addresses, or serve fewer queues.",
  });
});
