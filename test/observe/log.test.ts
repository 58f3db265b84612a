import assert from "node:assert/strict";
import { test } from "node:test";
import { systemClock } from "../../src/host/clock.ts";
import { pinoLog } from "../../src/host/pino.ts";

// Through the inside on purpose: the ports' real fillings have no door of their own.

function capture(level: "debug" | "info" | "warn" | "error" = "info") {
  const lines: string[] = [];
  const log = pinoLog({ level, fields: { node_id: "a" }, destination: { write: (line) => void lines.push(line) } });
  return { log, lines, last: () => JSON.parse(lines.at(-1) ?? "") as Record<string, unknown> };
}

test("row 54: text with a line break and colour codes stays one escaped JSON line", () => {
  const { log, lines, last } = capture();
  log.info('done\n{"level":"fatal"}\u001b[31m', { user: "x\ny" });
  assert.equal(lines.length, 1);
  assert.equal(lines[0]?.indexOf("\n"), (lines[0]?.length ?? 0) - 1);
  const { level, message, user, node_id } = last();
  assert.deepEqual(
    { level, message, user, node_id },
    { level: "info", message: 'done\n{"level":"fatal"}\u001b[31m', user: "x\ny", node_id: "a" },
  );
});

test("rows 52 and 54: secrets never reach the log; a fencing token is not one", () => {
  const { log, last } = capture();
  log.warn("refused", {
    admin_token: "s3cret",
    Authorization: "Bearer s3cret",
    url: "https://user:s3cret@host/x",
    fencing_token: "42",
  });
  assert.ok(!JSON.stringify(last()).includes("s3cret"));
  assert.equal(last()["fencing_token"], "42");
  assert.equal(last()["url"], "https://[redacted]@host/x");
});

test("long values are cut and say how long they were", () => {
  const { log, last } = capture();
  log.info("x".repeat(3_000));
  assert.equal(last()["message"], `${"x".repeat(2_000)}… (3000 characters)`);
});

test("a child adds its fields, and lines below the level are not written", () => {
  const { log, lines, last } = capture("warn");
  log.debug("no");
  log.info("no");
  log.child({ room: "raft" }).error("yes", JSON.parse('{"__proto__": "own"}') as Record<string, string>);
  assert.equal(lines.length, 1);
  assert.deepEqual([last()["room"], last()["level"]], ["raft", "error"]);
});

test("the clock's monotonic reading does not fall and its wall reading is the system's", () => {
  const clock = systemClock();
  const [first, second] = [clock.now(), clock.now()];
  assert.ok(second.monotonicMs >= first.monotonicMs);
  assert.ok(Math.abs(second.wallMs - Date.now()) < 1_000);
});
