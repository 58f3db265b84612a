import assert from "node:assert/strict";
import { test } from "node:test";
import { Detection } from "../../../src/sim/swim/detection.ts";

test("an observer of a crash reports at most one suspicion and then one verdict; all else is odd", () => {
  const courses = [
    ["suspected", "died"],
    ["died"],
    [],
    ["suspected"],
    ["suspected", "refuted", "suspected", "died"],
    ["suspected", "died", "died"],
    ["died", "recovered", "died"],
  ] as const;
  const detection = new Detection(
    0,
    courses.map((_, observer) => observer),
  );
  for (const [observer, course] of courses.entries()) for (const kind of course) detection.reported(observer, kind);
  detection.reported(99, "died");
  assert.deepEqual(detection.odd, [2, 3, 4, 5, 6]);
});
