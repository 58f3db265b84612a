import assert from "node:assert/strict";
import { test } from "node:test";
import { NodeId } from "#kernel";
import { type AllowList, type AllowListOptions, createAllowList } from "../../../src/membership/core/swim/allow-list.ts";
import { Address } from "../../../src/membership/core/swim/types.ts";

function list(options: Partial<AllowListOptions>): AllowList {
  const made = createAllowList({ ids: [], networks: [], ...options });
  if (!made.ok) throw new Error(made.refusal.message);
  return made.value;
}

test("an empty list allows everybody", () => {
  assert.equal(list({}).allowsId(NodeId("x")), true);
  assert.equal(list({}).allowsAddress(Address("192.0.2.1:8771")), true);
});

test("I5: ids are allowed by name or by pattern; a container id is not, whatever the pattern", () => {
  const allow = list({ ids: ["local-mac", "lambda-*", "*-gpu-*-x"] });
  const ids = ["local-mac", "lambda-gh200-1", "lambda-", "a-gpu-1-x", "a-gpu-x", "local-mac2", "xlambda-1", "2d9de0d97a72"];
  assert.deepEqual(
    ids.filter((id) => allow.allowsId(NodeId(id))),
    ["local-mac", "lambda-gh200-1", "lambda-", "a-gpu-1-x"],
  );
  const anybody = list({ ids: ["*", "2*"] });
  for (const id of ["2d9de0d97a72", "2".repeat(64)]) assert.equal(anybody.allowsId(NodeId(id)), false, id);
  assert.equal(anybody.allowsId(NodeId("2d9de0d97a7")), true);
});

test("addresses are allowed by network, IPv4 and IPv6, at any prefix length", () => {
  const allow = list({ networks: ["100.64.0.0/10", "2001:db8::/33", "192.0.2.7/32"] });
  const addresses = [
    "100.64.0.1:1",
    "100.127.255.255:1",
    "100.128.0.0:1",
    "192.0.2.7:1",
    "192.0.2.8:1",
    "[2001:db8:7fff::1]:1",
    "[2001:db8:8000::1]:1",
    "[::ffff:100.64.0.1]:1",
    "not an address",
  ];
  assert.deepEqual(
    addresses.filter((address) => allow.allowsAddress(Address(address))),
    ["100.64.0.1:1", "100.127.255.255:1", "192.0.2.7:1", "[2001:db8:7fff::1]:1", "[::ffff:100.64.0.1]:1"],
  );
  assert.equal(list({ networks: ["0.0.0.0/0"] }).allowsAddress(Address("203.0.113.9:1")), true);
});

test("a network or pattern that cannot be read is refused by name", () => {
  for (const network of ["100.64.0.0", "100.64.0.0/33", "100.64.0/10", "x/8", "2001:db8::/129", "2001:::/8", "1.2.3.4/-1"]) {
    const made = createAllowList({ ids: [], networks: [network] });
    assert.ok(!made.ok && made.refusal.message.includes(network), network);
  }
  const made = createAllowList({ ids: ["a b"], networks: [] });
  assert.ok(!made.ok && made.refusal.field === "allow_ids");
});

test("a pattern of many stars is answered in no time", () => {
  const allow = list({ ids: ["*a".repeat(30) + "b"] });
  assert.equal(allow.allowsId(NodeId("a".repeat(64))), false);
});
