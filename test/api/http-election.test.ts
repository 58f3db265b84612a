import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { connect } from "node:net";
import { after, before, test } from "node:test";
import { NodeId, accepted, refusal, refused } from "#kernel";
import { type ElectionDeps, triggerElection } from "#api";
import type { PulseRequest } from "#ports";
import { type Pulse, startPulse } from "../../src/host/pulse/index.ts";

// Through the inside on purpose: the guards stand in the thread, below the doors.

const KEY = "0123456789abcdef0123456789abcdef";
const seen: PulseRequest[] = [];
let pulse: Pulse;
before(async () => {
  pulse = await startPulse({
    listen: { host: "127.0.0.1", port: 0 },
    nodeId: "a",
    maxMainStallMs: 30_000,
    posts: { hostNames: ["node-a"], adminKeySha256: createHash("sha256").update(KEY).digest("hex") },
    onFailure: (error) => assert.fail(error),
  });
});
after(() => pulse.close());

const post = (path: string, headers: Record<string, string> = {}, body = ""): Promise<Response> =>
  fetch(`http://127.0.0.1:${pulse.port}${path}`, { method: "POST", headers, body });

async function reasonOf(answer: Response): Promise<unknown> {
  return ((await answer.json()) as { error?: { reason: string } }).error?.reason ?? null;
}

test("a request that changes something is refused with 503 until main takes it, then handed on with its body", async () => {
  assert.equal((await post("/election/trigger")).status, 503);
  pulse.handle((request) => {
    seen.push(request);
    return Promise.resolve({ code: 202, body: { action: "election" } });
  });
  for (const path of ["/election/trigger", "/admin/trigger-election"]) {
    const answer = await post(path, {}, '{"to":"b"}');
    assert.deepEqual([answer.status, await answer.json()], [202, { action: "election" }]);
    assert.deepEqual(seen.pop(), { path, body: '{"to":"b"}' });
  }
});

test("a web page and a rebound name are refused, whoever asks; so is what a proxy passes on without the key", async () => {
  for (const headers of [
    { Origin: "http://127.0.0.1:8770" },
    { Origin: "null", "X-Admin-Key": KEY },
    { "X-Forwarded-For": "10.0.0.1" },
    { Forwarded: "for=10.0.0.1" },
  ] as Record<string, string>[]) {
    const answer = await post("/admin/trigger-election", headers);
    assert.deepEqual([answer.status, await reasonOf(answer)], [403, "PERMISSION_DENIED"], JSON.stringify(headers));
  }
  assert.match(await raw("evil.example"), /^HTTP\/1\.1 403 /);
  assert.match(await raw("localhost.evil.example:8770"), /^HTTP\/1\.1 403 /);
  assert.equal(seen.length, 0);
  for (const host of ["localhost:8770", "LOCALHOST", "node-a:8770", "127.0.0.1", "[::1]:8770", "10.1.2.3:8770"]) {
    assert.match(await raw(host), /^HTTP\/1\.1 202 /, host);
  }
  seen.length = 0;
});

test("a wrong admin key is refused even from this machine, the right one passes for a proxy too", async () => {
  for (const key of ["", "x", `${KEY}x`, KEY.toUpperCase()]) {
    const answer = await post("/election/trigger", { "X-Admin-Key": key });
    assert.deepEqual([answer.status, await reasonOf(answer)], [401, "UNAUTHENTICATED"], key);
  }
  assert.equal(seen.length, 0);
  assert.equal((await post("/election/trigger", { "X-Admin-Key": KEY, "X-Forwarded-For": "10.0.0.1" })).status, 202);
});

test("a body over 16 KiB is refused however its length is told, other methods are 405", async () => {
  const long = await post("/election/trigger", {}, "x".repeat(16_385));
  assert.equal(long.status, 413);
  const chunked = await raw("localhost", `Transfer-Encoding: chunked\r\n\r\n4e20\r\n${"x".repeat(20_000)}\r\n0\r\n\r\n`);
  assert.match(chunked, /^HTTP\/1\.1 413 [^]*connection: close/i);
  const get = await fetch(`http://127.0.0.1:${pulse.port}/election/trigger`);
  assert.deepEqual([get.status, get.headers.get("allow")], [405, "POST"]);
  const status = await post("/election/status");
  assert.deepEqual([status.status, status.headers.get("allow")], [405, "GET, HEAD"]);
});

test("`Expect: 100-continue` is answered by the guards first", async () => {
  const asked = await raw("evil.example", "Content-Length: 2\r\nExpect: 100-continue\r\n\r\n{}");
  assert.match(asked, /^HTTP\/1\.1 403 /);
  const allowed = await raw("localhost", "Content-Length: 2\r\nExpect: 100-continue\r\n\r\n{}");
  assert.match(allowed, /^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 202 /);
});

test("a handler that fails is a 500 without its message", async () => {
  pulse.handle(() => Promise.reject(new Error("secret")));
  const answer = await post("/election/trigger");
  assert.deepEqual([answer.status, await reasonOf(answer)], [500, "INTERNAL"]);
});

test("GET /election/status says who leads, in which term, and how many votes there are", async () => {
  const election = { node_id: "a", leader_id: "b", term: "7" };
  pulse.push({ status: {}, election, metrics: "", healthy: true, reasons: [] });
  const body = (await (await fetch(`http://127.0.0.1:${pulse.port}/election/status`)).json()) as Record<string, unknown>;
  assert.deepEqual({ ...body, stale_ms: 0 }, { ...election, stale_ms: 0 });
});

const [a, b] = [NodeId("a"), NodeId("b")];
const healthy: ElectionDeps = {
  leader: () => Promise.resolve(accepted(a)),
  transfer: (to) => Promise.resolve(accepted(to ?? b)),
  campaign: () => assert.fail("a healthy leader needs no election"),
};

test("triggering an election moves the lead while somebody leads, and elects while nobody does", async () => {
  const moved = { action: "transfer", previous_leader_id: "a", leader_id: "b" };
  assert.deepEqual(await triggerElection("", healthy), { code: 200, body: moved });
  const named = await triggerElection('{"to": "c"}', healthy);
  assert.deepEqual(named.body, { ...moved, leader_id: "c" });
  const leaderless: ElectionDeps = {
    leader: () => Promise.resolve(accepted(null)),
    transfer: () => assert.fail("nobody could hand over"),
    campaign: () => Promise.resolve(accepted(null)),
  };
  assert.deepEqual(await triggerElection("", leaderless), { code: 202, body: { action: "election", leader_id: null } });
});

test("what the leader refuses comes back with its reason and status; a bad body names its field", async () => {
  const single = { ...healthy, transfer: () => Promise.resolve(refused(refusal("BAD_STATE", "there is no other voter"))) };
  assert.deepEqual(await triggerElection("", single), {
    code: 412,
    body: { error: { code: 412, reason: "BAD_STATE", message: "there is no other voter" } },
  });
  for (const [body, field] of [
    ["{", undefined],
    ["[]", undefined],
    ['{"to": 5}', "to"],
    ['{"to": "../x"}', "to"],
    ['{"leader": "a"}', "leader"],
  ] as const) {
    const answer = await triggerElection(body, healthy);
    const { reason, field: named } = (answer.body as { error: { reason: string; field?: string } }).error;
    assert.deepEqual([answer.code, reason, named], [400, "INVALID_ARGUMENT", field], body);
  }
});

function raw(host: string, rest = "Content-Length: 0\r\n\r\n"): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(pulse.port, "127.0.0.1", () =>
      socket.write(`POST /election/trigger HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n${rest}`),
    );
    let answer = "";
    socket.setEncoding("utf8").on("data", (text: string) => (answer += text));
    socket.on("error", reject).on("close", () => resolve(answer));
  });
}
