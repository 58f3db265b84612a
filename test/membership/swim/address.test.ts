import assert from "node:assert/strict";
import { test } from "node:test";
import { canonicalAddress, parseEndpoint, parseIp } from "../../../src/membership/core/swim/address.ts";

test("an address has one spelling (RFC 5952)", () => {
  const spellings: readonly (readonly [string, string])[] = [
    ["203.0.113.7:8771", "203.0.113.7:8771"],
    ["[2001:DB8:0:0:0:0:0:7]:8771", "[2001:db8::7]:8771"],
    ["[::]:1", "[::]:1"],
    ["[::1]:65535", "[::1]:65535"],
    ["[2001:db8:0:0:1:0:0:1]:1", "[2001:db8::1:0:0:1]:1"],
    ["[2001:db8:0:1:1:1:1:1]:1", "[2001:db8:0:1:1:1:1:1]:1"],
    ["[fe80::]:1", "[fe80::]:1"],
    ["[::ffff:192.0.2.1]:1", "192.0.2.1:1"],
    ["[64:ff9b::192.0.2.1]:1", "[64:ff9b::c000:201]:1"],
  ];
  for (const [written, spelt] of spellings) assert.equal(canonicalAddress(written), spelt);
});

test("what is not an IP address with a port is none", () => {
  const wrong = [
    "",
    ":",
    ":8771",
    "203.0.113.7",
    "203.0.113.7:",
    "203.0.113.7:0",
    "203.0.113.7:65536",
    "203.0.113.7:08771",
    "203.0.113.7:+1",
    "203.0.113:1",
    "203.0.113.7.1:1",
    "203.0.113.256:1",
    "203.0.113.07:1",
    "203.0..7:1",
    "example.org:8771",
    "2001:db8::7:8771",
    "[2001:db8::7:8771",
    "[2001:db8::7]8771",
    "[203.0.113.7]:1",
    "[1:2:3:4:5:6:7]:1",
    "[1:2:3:4:5:6:7:8:9]:1",
    "[1:2:3:4:5:6:7::8]:1",
    "[1::2::3]:1",
    "[fe80::1%eth0]:1",
    "[12345::]:1",
    "[:::]:1",
    "[]:1",
  ];
  for (const text of wrong) assert.equal(parseEndpoint(text), null, text);
  assert.equal(parseIp("203.0.113.7:1"), null);
});
