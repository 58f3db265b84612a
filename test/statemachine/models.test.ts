import assert from "node:assert/strict";
import { test } from "node:test";
import type { ModelVersion, Operation } from "#statemachine";
import { type Client, type Claimed, expectRefusal, World } from "./world.ts";

const model = "hex8_2p";
const sha = (digit: string) => digit.repeat(64);

const registration = (more: Partial<Extract<Operation, { readonly kind: "registerVersion" }>> = {}): Operation => ({
  kind: "registerVersion",
  model,
  configKey: "hex8_2p",
  description: "Hex on 8x8",
  sourceUri: "file:///models/1.json",
  format: "json",
  workId: null,
  fencingToken: null,
  parentVersion: 0,
  gitCommit: "abc123",
  tags: { by: "pipeline" },
  guards: [],
  ...more,
});

const commit = (number: number, sha256: string, sizeBytes = 10): Operation => ({
  kind: "commitVersion",
  model,
  number,
  sha256,
  sizeBytes,
  metrics: { elo: 1_500.5 },
  guards: [],
});

const alias = (version: number, expectedAliasRevision: number | null, name = "canonical"): Operation => ({
  kind: "setAlias",
  model,
  alias: name,
  version,
  expectedAliasRevision: expectedAliasRevision as never,
  reason: "won",
  by: "evaluator",
  guards: [],
});

const ready = (client: Client, digit: string): ModelVersion => {
  const { number } = client.run("version", registration()).version;
  return client.run("version", commit(number, sha(digit))).version;
};

test("versions are numbered from 1 without gaps and become READY by their commit", () => {
  const world = new World();
  const client = world.open();
  assert.equal(client.run("version", registration()).version.state, "UPLOADING");
  assert.equal(client.run("version", registration()).version.number, 2);
  const version = client.run("version", commit(1, sha("a"), 42)).version;
  assert.deepEqual([version.state, version.sha256, version.sizeBytes], ["READY", sha("a"), 42]);
  assert.deepEqual(
    world.machine
      .read()
      .listVersions(model)
      .map(({ state }) => state),
    ["READY", "UPLOADING"],
  );
  assert.equal(world.machine.read().model(model)?.lastVersion, 2);
});

test("committing again with the same digest is no change, with another ALREADY_EXISTS", () => {
  const world = new World();
  const client = world.open();
  const version = ready(client, "a");
  assert.equal(client.run("version", commit(1, sha("a"))).version, version);
  assert.deepEqual(world.events, []);
  client.refuse("ALREADY_EXISTS", commit(1, sha("b")), "sha256");
});

for (const bad of ["", "a".repeat(63), sha("A"), sha("g"), `${sha("a")}\n`]) {
  test(`${JSON.stringify(bad.slice(0, 4))}… of ${bad.length} characters is no sha256`, () => {
    const world = new World();
    const client = world.open();
    client.run("version", registration());
    client.refuse("INVALID_ARGUMENT", commit(1, bad), "sha256");
  });
}

test("an upload whose session is lost is ABORTED and cannot be committed", () => {
  const world = new World();
  const client = world.open(10_000);
  client.run("version", registration());
  world.after(10_000).tick();
  assert.equal(world.machine.read().modelVersion(model, 1)?.state, "ABORTED");
  world.open().refuse("BAD_STATE", commit(1, sha("a")));
});

test("another session cannot commit an upload", () => {
  const world = new World();
  world.open().run("version", registration());
  world.open().refuse("FENCED", commit(1, sha("a")));
});

test("a version made under a claim is refused once that claim is not the live one, at registration and at commit", () => {
  const world = new World();
  const client = world.open(3_600_000);
  world.enqueue({ heartbeatTimeoutMs: 5_000 });
  const stale: Claimed = client.claimOne();
  client.run("version", registration({ ...stale }));
  world.after(5_000).tick();
  client.refuse("FENCED", commit(1, sha("a")));
  client.refuse("FENCED", registration({ ...stale }));
  const fresh = client.claimOne();
  client.refuse("FENCED", registration({ ...fresh, fencingToken: stale.fencingToken }));
  assert.equal(client.run("version", registration({ ...fresh })).version.fencingToken, fresh.fencingToken);
});

test("mlflow: two promoters race on one alias; exactly one wins and the other reads CONFLICT", () => {
  const world = new World();
  const client = world.open();
  ready(client, "a");
  ready(client, "b");
  ready(client, "c");
  const first = world.run("model", alias(1, 0)).model;
  const { revision } = first.aliases["canonical"]!;
  world.run("model", alias(2, revision));
  world.refuse("CONFLICT", alias(3, revision), "expected_alias_revision");
  world.refuse("CONFLICT", alias(3, 0));
  const { aliases, history } = world.machine.read().model(model)!;
  assert.deepEqual([aliases["canonical"]?.version, aliases["previous"]?.version], [2, 1]);
  assert.deepEqual(
    history.map(({ version }) => version),
    [1, 2],
  );
});

test("without an expected revision the alias moves whatever it is, and rollback is a move to the previous version", () => {
  const world = new World();
  const client = world.open();
  ready(client, "a");
  ready(client, "b");
  world.run("model", alias(1, null));
  world.run("model", alias(2, null));
  const { aliases } = world.run("model", alias(1, null)).model;
  assert.deepEqual([aliases["canonical"]?.version, aliases["previous"]?.version], [1, 2]);
  world.refuse("INVALID_ARGUMENT", alias(1, null, "previous"), "alias");
});

test("an alias named like a property of every object is an alias like any other", () => {
  const world = new World();
  ready(world.open(), "a");
  for (const name of ["constructor", "__proto__", "toString"]) {
    const { aliases } = world.run("model", alias(1, 0, name)).model;
    assert.equal(Object.getOwnPropertyDescriptor(aliases, name)?.value.version, 1);
  }
});

test("only READY versions get an alias", () => {
  const world = new World();
  world.open().run("version", registration());
  world.refuse("BAD_STATE", alias(1, null), "version");
  world.refuse("NOT_FOUND", alias(2, null));
});

test("the newest fifty moves are kept", () => {
  const world = new World();
  ready(world.open(), "a");
  for (let n = 0; n < 60; n += 1) world.run("model", alias(1, null, `candidate-${n}`));
  const { history } = world.machine.read().model(model)!;
  assert.deepEqual([history.length, history[0]?.alias, history.at(-1)?.alias], [50, "candidate-10", "candidate-59"]);
});

test("an alias moves under a guard only while the training lock is held", () => {
  const world = new World();
  const client = world.open();
  ready(client, "a");
  const token = client.acquire("train").lock.holder!.fencingToken;
  client.run("lock", { kind: "releaseLock", name: "train", fencingToken: token });
  const guarded = { ...alias(1, null), guards: [{ lock: "train", fencingToken: token }] } as Operation;
  expectRefusal(client.decide(guarded), "FENCED", "guards");
});

test("a parent must exist, a config_key stays, and a claim is named whole", () => {
  const world = new World();
  const client = world.open();
  client.refuse("NOT_FOUND", registration({ parentVersion: 1 }));
  client.refuse("INVALID_ARGUMENT", registration({ workId: "w-1" as never }), "fencing_token");
  client.run("version", registration());
  client.refuse("ALREADY_EXISTS", registration({ configKey: "square8_2p" }), "config_key");
  client.run("version", registration({ configKey: "", parentVersion: 1 }));
  world.refuse("INVALID_ARGUMENT", registration(), "session_id");
});
