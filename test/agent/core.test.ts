import assert from "node:assert/strict";
import { test } from "node:test";
import { ChildOutput, ErrorTail } from "../../src/agent/core/child-output.ts";
import { ProgressPace, claimCount, retryPauseMs } from "../../src/agent/core/pace.ts";
import { endOfChild, strongerReason, verdict } from "../../src/agent/core/verdict.ts";

const exit = (code: number | null, signal: string | null = null) => ({ code, signal, error: null });
const succeeded = { kind: "succeeded", result: "{}" } as const;

test("progress and result are read from lines that arrive in pieces; other prints are passed over", () => {
  const output = new ChildOutput();
  assert.equal(output.feed('loading…\n{"progress":{"per'), null);
  assert.deepEqual(output.feed('cent":40,"step":"fit"}}\n{"re'), { percent: 40, step: "fit", message: "" });
  output.feed('sult":{"elo":12}}');
  assert.equal(output.result, null);
  output.finish();
  assert.equal(output.result, '{"elo":12}');
});

test("a text result stays as it is, the last result wins, and nonsense harms nobody", () => {
  const output = new ChildOutput();
  output.feed('{"result":"a"}\n{"result":"b"}\n{broken\n{"progress":7}\n{"progress":{"percent":1e9}}\n');
  assert.equal(output.result, "b");
  assert.deepEqual(output.feed('{"progress":{"percent":-3,"message":5}}\n'), { percent: 0, step: "", message: "" });
});

test("a line without an end does not fill the memory, and its rest is not mistaken for a line", () => {
  const output = new ChildOutput();
  output.feed("x".repeat(500_000));
  output.feed('{"result":"middle of the long line"}\n{"result":"ok"}\n');
  assert.equal(output.result, "ok");
  const tail = new ErrorTail();
  for (let i = 0; i < 1_000; i++) tail.feed("0123456789");
  assert.equal(tail.text.length, 1_300);
});

test("exit code 0 succeeds, 65 is not retried, everything else is", () => {
  assert.deepEqual(endOfChild(exit(0), "r", ""), { kind: "succeeded", result: "r" });
  const cases = [exit(65), exit(1), exit(null, "SIGSEGV"), { code: null, signal: null, error: "ENOENT" }];
  assert.deepEqual(
    cases.map((how) => {
      const end = endOfChild(how, null, "why");
      return end.kind === "failed" ? [end.code, end.message, end.retryable] : null;
    }),
    [
      ["EXIT_65", "exit code 65: why", false],
      ["EXIT_1", "exit code 1: why", true],
      ["SIGSEGV", "signal SIGSEGV: why", true],
      ["SPAWN_FAILED", "ENOENT", true],
    ],
  );
});

test("why it was stopped decides what is reported; a lost claim is never reported", () => {
  const killed = endOfChild(exit(null, "SIGTERM"), null, "");
  assert.deepEqual(verdict(succeeded, null), { kind: "complete", result: "{}" });
  assert.deepEqual(verdict(succeeded, "lost"), { kind: "silent" });
  assert.equal(verdict(killed, "drain").kind, "release");
  const [cancelled, late] = [verdict(succeeded, "cancel"), verdict(killed, "timeout")];
  assert.deepEqual(cancelled.kind === "fail" && [cancelled.cause, cancelled.retryable], ["cancelled", false]);
  assert.deepEqual(late.kind === "fail" && [late.cause, late.retryable], ["timeout", true]);
});

test("draining: exit code 0 alone is not success, a printed result is", () => {
  assert.equal(verdict({ kind: "succeeded", result: null }, "drain").kind, "release");
  assert.equal(verdict(succeeded, "drain").kind, "complete");
});

test("the first reason to stop stands, but a lost claim overrules it", () => {
  assert.equal(strongerReason("cancel", "timeout"), "cancel");
  assert.equal(strongerReason("cancel", "lost"), "lost");
});

test("a result that the queue would refuse is a failure that is not retried", () => {
  const told = verdict({ kind: "succeeded", result: "x".repeat(70_000) }, null);
  assert.deepEqual(told.kind === "fail" && [told.code, told.retryable], ["RESULT_TOO_LARGE", false]);
});

test("progress goes out at most once a second; silence still sends a heartbeat in time for the item's own limit", () => {
  const pace = new ProgressPace(9_000, 0);
  assert.equal(pace.nextAtMs, 3_000);
  pace.reported();
  assert.equal(pace.nextAtMs, 1_000);
  pace.sent(1_000);
  assert.equal(pace.nextAtMs, 4_000);
  assert.equal(new ProgressPace(0, 0).nextAtMs, 5_000);
});

test("free slots are claimed, none while draining; pauses after failures grow to five seconds", () => {
  assert.deepEqual([claimCount(4, 1, false), claimCount(4, 4, false), claimCount(4, 0, true)], [3, 0, 0]);
  assert.deepEqual(
    [0, 3, 20].map((failures) => retryPauseMs(failures, () => 1)),
    [100, 800, 5_000],
  );
});

test("what is told fits the queue's limits in bytes, whatever the program writes in", () => {
  const bytes = (text: string): number => Buffer.byteLength(text);
  const output = new ChildOutput();
  const wide = "漢".repeat(5_000);
  const said = output.feed(`${JSON.stringify({ progress: { percent: 1, step: wide, message: wide } })}\n`);
  assert.ok(said !== null && bytes(said.step) <= 256 && bytes(said.message) <= 4_096);

  const tail = new ErrorTail();
  tail.feed(wide);
  for (const message of [tail.text, wide]) {
    const told = verdict(endOfChild({ code: 1, signal: null, error: null }, null, message), null);
    assert.ok(told.kind === "fail" && bytes(told.message) <= 4_096, `${message.length} characters`);
  }
  assert.equal(verdict({ kind: "succeeded", result: "漢".repeat(21_845) }, null).kind, "complete");
  const large = verdict({ kind: "succeeded", result: "漢".repeat(21_846) }, null);
  assert.ok(large.kind === "fail" && large.code === "RESULT_TOO_LARGE");
});
