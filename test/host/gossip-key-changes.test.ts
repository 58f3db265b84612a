import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import type { MembershipLook } from "#membership";
import { nodeAead } from "../../src/host/aead.ts";
import { readGossipKeys } from "../../src/host/gossip-keys.ts";
import type { Answer } from "../../src/host/pulse/answers.ts";
import { GossipKeyChanges } from "../../src/host/pulse/gossip-key-changes.ts";
import { sealGossipKey } from "../../src/host/sealed-key.ts";

// Through the inside on purpose: the answers of one node, without its sockets.

const folder = mkdtempSync(join(tmpdir(), "ringraft-rotation-"));
after(() => rmSync(folder, { recursive: true }));

const [k1, k2, k3] = [1, 2, 3].map((number) => Buffer.alloc(32, number)) as [Buffer, Buffer, Buffer];
const fingerprint = (key: Uint8Array): string => nodeAead.importKey(key).fingerprint;
const nameOf = (key: Uint8Array): string => fingerprint(key).slice(0, 8);

type Other = readonly [id: string, state: "alive" | "suspect" | "dead" | "left", keys: readonly Uint8Array[]];

/** A node n0 with its key file, and what it knows of the others. */
class Node {
  readonly file = join(mkdtempSync(join(folder, "node-")), "gossip.key");
  keys: readonly Uint8Array[];
  others: readonly Other[] = [];
  readonly logged: string[] = [];
  readonly answers: string[] = [];
  readonly #changes: GossipKeyChanges;

  constructor(keys: readonly Uint8Array[]) {
    this.keys = keys;
    this.write(keys);
    this.#changes = new GossipKeyChanges({
      nodeId: "n0",
      keyFile: this.file,
      keys: () => this.keys,
      apply: (next) => void (this.keys = next),
      look: () => this.#look(),
      log: (line) => void this.logged.push(JSON.stringify(line)),
    });
  }

  write(keys: readonly Uint8Array[]): void {
    writeFileSync(this.file, keys.map((key) => `${Buffer.from(key).toString("base64")}\n`).join(""), { mode: 0o600 });
  }

  get inFile(): readonly Uint8Array[] {
    return readGossipKeys(this.file).map((key) => Buffer.from(key));
  }

  async post(order: object | string): Promise<{ readonly code: number; readonly message: string; readonly changed: boolean }> {
    const answer: Answer = await this.#changes.answer(typeof order === "string" ? order : JSON.stringify(order));
    this.answers.push(answer.body);
    const body = JSON.parse(answer.body) as { changed?: boolean; error?: { message: string } };
    return { code: answer.code, message: body.error?.message ?? "", changed: body.changed ?? false };
  }

  install(key: Uint8Array, under: Uint8Array) {
    return this.post({ action: "install", sealed: sealGossipKey(key, under) });
  }

  #look(): MembershipLook {
    const member = ([id, state, keys]: Other) => ({
      record: { id, state, metadata: { keys: keys.map((key) => Number.parseInt(nameOf(key), 16)) } },
    });
    const view = { self: { id: "n0" }, members: [member(["n0", "alive", this.keys]), ...this.others.map(member)] };
    return { swim: { view } } as unknown as MembershipLook;
  }
}

test("a rotation of one node: install, use, remove; the file is rewritten each time, and each step may be repeated", async () => {
  const node = new Node([k1]);
  for (const [order, keys] of [
    [() => node.install(k2, k1), [k1, k2]],
    [() => node.post({ action: "use", key: nameOf(k2) }), [k2, k1]],
    [() => node.post({ action: "remove", key: fingerprint(k1) }), [k2]],
  ] as const) {
    assert.deepEqual(await order(), { code: 200, message: "", changed: true });
    assert.deepEqual([node.keys.map((key) => Buffer.from(key)), node.inFile], [keys, keys]);
  }
  assert.deepEqual(await node.install(k2, k2), { code: 200, message: "", changed: false });
  assert.equal((await node.post({ action: "use", key: nameOf(k2) })).code, 200);
  assert.equal((await node.post({ action: "remove", key: nameOf(k1) })).code, 200);
});

test("a key is used only once everybody who is there has it, and removed only once nobody seals with it", async () => {
  const node = new Node([k1, k2]);
  node.others = [
    ["n1", "alive", [k1, k2]],
    ["n2", "suspect", [k1]],
    ["n3", "alive", []],
    ["n4", "dead", [k1]],
    ["n5", "left", [k1]],
  ];
  const early = await node.post({ action: "use", key: nameOf(k2) });
  assert.equal(early.code, 412);
  assert.match(early.message, new RegExp(`^key ${nameOf(k2)} is not installed at n2, n3: `));
  assert.match((await node.post({ action: "remove", key: nameOf(k1) })).message, /is the one this node seals with: use another/);
  node.others = [["n1", "alive", [k1, k2]]];
  assert.equal((await node.post({ action: "use", key: nameOf(k2) })).code, 200);
  const inUse = await node.post({ action: "remove", key: nameOf(k1) });
  assert.deepEqual([inUse.code, inUse.message.startsWith(`key ${nameOf(k1)} is still used by n1: `)], [412, true], inUse.message);
  node.others = [["n1", "alive", [k2, k1]]];
  assert.equal((await node.post({ action: "remove", key: nameOf(k1) })).code, 200);
  assert.deepEqual(node.inFile, [k2]);
});

test("who holds none of the node's keys installs none", async () => {
  const node = new Node([k1]);
  assert.deepEqual((await node.install(k2, k3)).code, 403);
  const torn = sealGossipKey(k2, k1).replace(/^./, (first) => (first === "A" ? "B" : "A"));
  assert.deepEqual((await node.post({ action: "install", sealed: torn })).code, 403);
  assert.deepEqual((await node.install(k2.subarray(1), k1)).code, 400);
  assert.deepEqual(node.inFile, [k1]);
});

test("a key file that was edited for something else is not overwritten; one that is ahead already is taken as it is", async () => {
  const node = new Node([k1]);
  node.write([k3, k1]);
  const edited = await node.install(k2, k1);
  assert.equal(edited.code, 412);
  assert.match(edited.message, new RegExp(`holds ${nameOf(k3)} ${nameOf(k1)}, but this node runs with ${nameOf(k1)}: put`));
  assert.deepEqual(node.keys, [k1]);
  node.write([k1, k2]);
  assert.deepEqual(await node.install(k2, k1), { code: 200, message: "", changed: true });
  rmSync(node.file);
  const gone = await node.post({ action: "use", key: nameOf(k2) });
  assert.match(gone.message, /^the keys of this node stay as they are: .*cannot be read/);
  assert.deepEqual(
    node.keys.map((key) => Buffer.from(key)),
    [k1, k2],
  );
});

test("a key file that cannot be replaced leaves keyring and file as they were, and the same order is done once it can", async () => {
  const node = new Node([k1]);
  // What stands in the draft's place stops even a node that runs as root.
  mkdirSync(`${node.file}.tmp`);
  const stopped = await node.install(k2, k1);
  assert.deepEqual([stopped.code, stopped.changed], [412, false]);
  assert.match(stopped.message, /^the keys of this node stay as they are: EISDIR/);
  assert.deepEqual([node.keys, node.inFile, node.logged], [[k1], [k1], []]);
  rmSync(`${node.file}.tmp`, { recursive: true });
  assert.deepEqual(await node.install(k2, k1), { code: 200, message: "", changed: true });
  assert.deepEqual(node.inFile, [k1, k2]);
});

test("the ninth key is refused", async () => {
  const keys = Array.from({ length: 8 }, (_, at) => Buffer.alloc(32, 10 + at));
  assert.equal((await new Node(keys).install(k1, keys[0]!)).code, 429);
});

test("a wrong order is refused and names what is wrong", async () => {
  const node = new Node([k1]);
  for (const [order, message] of [
    ["{", /not JSON/],
    ["null", /action must be/],
    [{ action: "rotate" }, /action must be install, use or remove/],
    [{ action: "use" }, /use takes key/],
    [{ action: "use", key: k2.toString("base64") }, /8 to 16 hex digits/],
    [{ action: "use", key: "0123abcd" }, /key 0123abcd is not installed here/],
    [{ action: "install", key: nameOf(k1) }, /install takes sealed/],
    [{ action: "use", key: nameOf(k1), force: true }, /unknown field force/],
  ] as const) {
    const { code, message: found } = await node.post(order);
    assert.ok(code === 400 || code === 404, JSON.stringify(order));
    assert.match(found, message);
  }
});

test("no answer and no line of the log holds a key", async () => {
  const node = new Node([k1]);
  await node.install(k2, k1);
  await node.post({ action: "use", key: nameOf(k2) });
  await node.post({ action: "remove", key: nameOf(k1) });
  node.write([k1]);
  await node.install(k3, k2);
  const said = [...node.answers, ...node.logged].join("\n");
  assert.equal(node.logged.length, 3);
  for (const key of [k1, k2, k3]) {
    for (const encoding of ["base64", "hex"] as const) assert.ok(!said.includes(key.toString(encoding)), said);
  }
  assert.ok(!readFileSync(node.file, "utf8").includes(k3.toString("base64")));
});
