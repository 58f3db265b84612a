import assert from "node:assert/strict";
import { createServer } from "node:http";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { AddressInfo } from "node:net";
import { after, test } from "node:test";
import { nodeAead } from "../../src/host/aead.ts";
import { run } from "../e2e/refusals.ts";

const folder = mkdtempSync(join(tmpdir(), "ringraft-refused-"));
after(() => rmSync(folder, { recursive: true }));

const [old, fresh] = [1, 2].map((number) => Buffer.alloc(32, number)) as [Buffer, Buffer];
const [OLD, NEW] = [old, fresh].map((key) => nodeAead.importKey(key).fingerprint.slice(0, 8)) as [string, string];

/** A node that shows `keys` as its own, and refuses every order with a 412. */
async function refusingNode(nodeId: string, keys: readonly string[], refusal: string) {
  let orders = 0;
  const server = createServer((request, response) => {
    request.resume();
    const isOrder = request.method === "POST";
    if (isOrder) orders++;
    response.writeHead(isOrder ? 412 : 200, { "content-type": "application/json" });
    const error = { code: 412, reason: "BAD_STATE", message: refusal };
    const view = { node_id: nodeId, nodes: [{ node_id: nodeId, state: "alive", incarnation: "1.0", keys }] };
    response.end(JSON.stringify(isOrder ? { error } : view));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  after(() => server.close());
  return { at: `127.0.0.1:${(server.address() as AddressInfo).port}`, orders: () => orders };
}

test("a refusal ends `ringraft gossip-key` at once with the words of the node that refuses", { timeout: 60_000 }, async () => {
  const [oldFile, newFile] = [join(folder, "old.key"), join(folder, "new.key")];
  writeFileSync(oldFile, `${old.toString("base64")}\n`, { mode: 0o600 });
  writeFileSync(newFile, `${fresh.toString("base64")}\n`, { mode: 0o600 });
  const why = "the folder /etc/ringraft is not writable";
  for (const [keys, args] of [
    [[OLD], ["install", newFile, "--under", oldFile]],
    [
      [OLD, NEW],
      ["use", NEW],
    ],
    [
      [NEW, OLD],
      ["remove", OLD],
    ],
  ] as const) {
    const node = await refusingNode("n1", keys, why);
    const ended = await run(["gossip-key", ...args, "--http", node.at, "--timeout", "3600"]);
    assert.deepEqual([ended.code, node.orders()], [4, 1], args[0]);
    assert.match(ended.stderr, new RegExp(`not yet n1\\n +${node.at}: ${why}`), args[0]);
  }
});

test(
  "what a node's own word stands against is refused without waiting, and nothing is ordered",
  { timeout: 60_000 },
  async () => {
    const [ready, late] = [await refusingNode("n1", [OLD, NEW], ""), await refusingNode("n2", [OLD], "")];
    const doors = ["--http", ready.at, "--http", late.at, "--timeout", "3600"];
    const early = await run(["gossip-key", "use", NEW, ...doors]);
    assert.equal(early.code, 4);
    assert.match(early.stderr, new RegExp(`key ${NEW} is not installed at n2; nothing was changed`));
    const used = await run(["gossip-key", "remove", OLD, ...doors]);
    assert.match(used.stderr, new RegExp(`key ${OLD} is still used by n1, n2; nothing was changed`));
    assert.deepEqual([used.code, ready.orders(), late.orders()], [4, 0, 0]);
  },
);
