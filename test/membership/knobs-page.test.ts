import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { httpPollKnobs, httpPollProfiles, type Knob, showKnob, swimKnobs, swimProfiles } from "#membership/core";

const page = readFileSync(new URL("../../docs/membership.md", import.meta.url), "utf8");

test("docs/membership.md shows every knob of SWIM with its number in each profile and its range", () => {
  assert.deepEqual(tableOf("### `membership.swim`"), rowsOf(swimKnobs, Object.values(swimProfiles)));
});

test("docs/membership.md shows every knob of HTTP polling with its number in each profile and its range", () => {
  assert.deepEqual(tableOf("### `membership.http_poll`"), rowsOf(httpPollKnobs, Object.values(httpPollProfiles)));
});

/** The rows of the table under a heading, without their last column, which is prose. */
function tableOf(heading: string): readonly string[] {
  const section = page.slice(page.indexOf(heading) + heading.length).split("\n#")[0] ?? "";
  const rows = section.split("\n").filter((line) => line.startsWith("| `"));
  for (const row of rows) assert.ok(row.split(" | ").at(-1)!.length > 10, `${row} says what it trades`);
  return rows.map((row) => row.split(" | ").slice(0, -1).join(" | "));
}

function rowsOf<F extends string>(
  knobs: Readonly<Record<F, Knob>>,
  profiles: readonly Readonly<Record<F, number | boolean>>[],
): readonly string[] {
  return (Object.entries<Knob>(knobs) as [F, Knob][]).map(([field, knob]) => {
    const range = knob.unit === "switch" ? "on, off" : `${showKnob(knob, knob.min)} – ${showKnob(knob, knob.max)}`;
    return [`| \`${knob.key}\``, ...profiles.map((profile) => showKnob(knob, profile[field])), range].join(" | ");
  });
}
