import assert from "node:assert/strict";
import { test } from "node:test";
import { MonotonicMs } from "#kernel";
import { SourceBudget } from "../../../src/membership/core/swim/source-budget.ts";
import { Address } from "../../../src/membership/core/swim/types.ts";

const limits = { packetsPerSecond: 10, burst: 20, maxSources: 100 };
const at = (ms: number): MonotonicMs => MonotonicMs(ms);
const from = (host: string, port = 8771): Address => Address(`${host}:${port}`);

function admitted(budget: SourceBudget, now: number, sources: readonly Address[]): number {
  return sources.filter((source) => budget.admit(at(now), source)).length;
}

test("a stranger has its burst, then its rate, whatever ports it sends from", () => {
  const budget = new SourceBudget(limits);
  const ports = Array.from({ length: 100 }, (_, port) => from("192.0.2.1", 1_000 + port));
  assert.equal(admitted(budget, 0, ports), 20);
  assert.equal(admitted(budget, 1_000, ports), 10);
  assert.equal(budget.admit(at(1_000), from("192.0.2.2")), true);
});

test("an IPv6 stranger is its /64", () => {
  const budget = new SourceBudget(limits);
  const hosts = Array.from({ length: 100 }, (_, host) => Address(`[2001:db8::${host + 1}]:8771`));
  assert.equal(admitted(budget, 0, hosts), 20);
  assert.equal(budget.admit(at(0), Address("[2001:db8:0:1::1]:8771")), true);
});

test("a thousand forged sources cost no more than four at their limit", () => {
  const budget = new SourceBudget(limits);
  const hosts = Array.from({ length: 1_000 }, (_, host) => from(`10.0.${host >> 8}.${host & 255}`));
  assert.equal(admitted(budget, 0, hosts), 80);
  assert.equal(admitted(budget, 1_000, hosts), 40);
});

test("what proves genuine costs nothing, and its source no longer depends on the strangers", () => {
  const budget = new SourceBudget(limits);
  for (let sent = 0; sent < 1_000; sent++) {
    assert.equal(budget.admit(at(0), from("192.0.2.1")), true, `datagram ${sent}`);
    budget.refund(at(0), from("192.0.2.1"));
  }
  admitted(
    budget,
    0,
    Array.from({ length: 1_000 }, (_, host) => from(`10.0.${host >> 8}.${host & 255}`)),
  );
  assert.equal(budget.admit(at(0), from("192.0.2.9")), false, "a stranger");
  assert.equal(budget.admit(at(0), from("192.0.2.1")), true, "a member");
});

test("genuine newcomers leave the strangers' share as it was, however many come at once", () => {
  const budget = new SourceBudget({ ...limits, maxSources: 1_000 });
  for (let host = 0; host < 500; host++) {
    const newcomer = from(`10.0.${host >> 8}.${host & 255}`);
    assert.equal(budget.admit(at(0), newcomer), true, newcomer);
    budget.refund(at(0), newcomer);
  }
  assert.equal(
    admitted(
      budget,
      0,
      Array.from({ length: 200 }, (_, host) => from(`192.0.2.${host + 1}`)),
    ),
    80,
  );
});

test("a member whose address is forged is held to its rate, too", () => {
  const budget = new SourceBudget(limits);
  budget.admit(at(0), from("192.0.2.1"));
  budget.refund(at(0), from("192.0.2.1"));
  assert.equal(
    admitted(
      budget,
      0,
      Array.from({ length: 100 }, () => from("192.0.2.1")),
    ),
    20,
  );
});

test("sources beyond the limit push out the ones not heard of lately, never a member that is heard", () => {
  const budget = new SourceBudget({ ...limits, maxSources: 4 });
  const member = from("192.0.2.1");
  for (let second = 0; second < 50; second++) {
    assert.equal(budget.admit(at(second * 1_000), member), true);
    budget.refund(at(second * 1_000), member);
    const other = from(`198.51.100.${second}`);
    if (budget.admit(at(second * 1_000), other)) budget.refund(at(second * 1_000), other);
  }
  const flood = Array.from({ length: 1_000 }, (_, host) => from(`10.0.${host >> 8}.${host & 255}`));
  admitted(budget, 50_000, flood);
  assert.equal(budget.admit(at(50_000), member), true);
});

test("sources that prove genuine do not push out what is remembered of a stranger at its limit", () => {
  const budget = new SourceBudget({ ...limits, maxSources: 4 });
  const flooder = from("203.0.113.1");
  while (budget.admit(at(0), flooder));
  for (let host = 0; host < 50; host++) {
    const member = from(`192.0.2.${host}`);
    assert.equal(budget.admit(at(0), member), true);
    budget.refund(at(0), member);
  }
  assert.equal(budget.admit(at(0), flooder), false);
});
