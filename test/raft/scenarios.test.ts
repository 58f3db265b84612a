import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { EXPECT_FORMS, FACTS } from "../../src/sim/scenario/expectations.ts";
import { MESSAGE_FIELDS, MESSAGE_KINDS } from "../../src/sim/scenario/message-words.ts";
import { parseScenario } from "../../src/sim/scenario/parse.ts";
import { runScenario } from "../../src/sim/scenario/run.ts";
import { OPTION_NAMES, VERB_NAMES } from "../../src/sim/scenario/verbs.ts";
import { ScenarioError } from "../../src/sim/scenario/words.ts";

const here = dirname(fileURLToPath(import.meta.url));
const folder = join(here, "scenarios");
const files = readdirSync(folder).filter((name) => name.endsWith(".scenario"));
const root = join(here, "..", "..");

const EXAMPLE = `holds: A majority elects.
source: this test

voters n1 n2 n3
campaign n1
settle
expect leader n1
expect all term 1 commit 1
`;

describe("scenario files", () => {
  for (const name of files) {
    const script = parseScenario(readFileSync(join(folder, name), "utf8"));
    test(`${script.sentence} (${name})`, () => {
      const { failure, trace } = runScenario(script);
      assert.equal(failure, null, failure === null ? "" : `${trace.join("\n")}\n${name}:${failure.line}: ${failure.message}`);
    });
  }

  test("no file states what another states already", () => {
    const sentences = files.map((name) => parseScenario(readFileSync(join(folder, name), "utf8")).sentence);
    assert.equal(new Set(sentences).size, sentences.length);
  });
});

describe("the scenario format", () => {
  for (const [broken, line, message] of [
    [EXAMPLE.replace("leader n1", "leader n2"), 7, /expected who leads: n2, but it is n1/],
    [EXAMPLE.replace("term 1 commit 1", "term 1 commit 2"), 8, /expected n1 commit 2, but it is 1; n1: leader term 1/],
    [`${EXAMPLE}expect sent 2 append from n1\n`, 9, /but \d+ left/],
    [`${EXAMPLE}drop append\n`, 9, /impossible: no such message is on its way/],
    [`${EXAMPLE}crash n1\npropose n1 a\n`, 10, /impossible: n1 is down/],
    [`${EXAMPLE}release append\n`, 9, /impossible: nothing is held by these words/],
    [`${EXAMPLE}timeout n1 20\n`, 9, /impossible: the timeouts of n1 lie from 10 to 19 ticks/],
    [`${EXAMPLE}propose n2 a\nexpect accepted\n`, 10, /expected all accepted, but it is 0 of 1/],
    [`${EXAMPLE}propose n1 a\nexpect refused NOT_LEADER\n`, 10, /refused, but it is 0 of 1/],
    [`${EXAMPLE}read n1\nexpect read r1 at 1\n`, 10, /expected read r1 at 1, but it is waits/],
    [`${EXAMPLE}receive n1 append from n2 term 1\nsettle\n`, 9, /n1 stopped: two leaders in term 1/],
    [`${EXAMPLE}expect mark n1 "conflict truncated"\n`, 9, /expected a mark "conflict truncated" of n1/],
    [`${EXAMPLE}expect votes for n1 from n1 n2\n`, 9, /expected votes for n1: n1,n2, but it is n1,n2,n3/],
    [`${EXAMPLE}\ntrace:\ncampaign n1\n  n1 sleeps\n`, 12, /the trace differs: expected "n1 sleeps", got "n1 is/],
  ] as const) {
    test(`an expectation that does not hold fails at its line: ${message.source}`, () => {
      const { failure } = runScenario(parseScenario(broken));
      assert.ok(failure !== null);
      assert.equal(failure.line, line);
      assert.match(failure.message, message);
    });
  }

  for (const [text, at, message] of [
    [EXAMPLE.replace("campaign n1", "campain n1"), "5:1", /unknown verb "campain", did you mean "campaign"\?/],
    [EXAMPLE.replace("campaign n1", "campaign m1"), "5:10", /unknown node "m1", did you mean "n1"\?/],
    [EXAMPLE.replace("commit 1", "comit 1"), "8:19", /unknown fact about a node "comit", did you mean "commit"\?/],
    [EXAMPLE.replace("term 1", "term one"), "8:17", /expected term \(a number.*got "one"/],
    [EXAMPLE.replace("settle", "settle n1 quickly"), "6:11", /expected the end of the line, got "quickly"/],
    [EXAMPLE.replace("campaign n1", "options preVotes=on"), "5:9", /unknown option "preVotes=on", did you mean "preVote="\?/],
    [EXAMPLE.replace("campaign n1", "drop apend"), "5:6", /unknown message "apend", did you mean "append"\?/],
    [EXAMPLE.replace("campaign n1", "drop append granted"), "5:13", /unknown field of append "granted"/],
    [EXAMPLE.replace("campaign n1", "voters n4"), "5:1", /a second "voters" line/],
    [EXAMPLE.replace("campaign n1", "campaign {who}"), "5:10", /no column "who"/],
    [EXAMPLE.replace("source: this test\n", "source:\n"), "1:1", /the line "source: …" is missing/],
    [EXAMPLE.replaceAll(/expect.*\n/g, ""), "1:1", /has no "expect"/],
    [
      EXAMPLE.replace("voters n1 n2 n3", "each | who\n     | n1 | n2\nvoters n1 n2 n3"),
      "5:1",
      /2 cells, the table has 1 columns/,
    ],
    [EXAMPLE.replace("voters n1 n2 n3", "each | who\n     | mx\nvoters n1 n2 n3\nrun; tick {who}"), "7:11", /unknown node "mx"/],
  ] as const) {
    test(`a mistake in the file is named with its place: ${message.source}`, () => {
      assert.throws(
        () => parseScenario(text),
        (error) => error instanceof ScenarioError && message.test(error.message) && `${error.line}:${error.column}` === at,
      );
    });
  }

  test("every row of a table runs, and a failure names its row", () => {
    const text = EXAMPLE.replace("voters n1 n2 n3", "each | who\n     | n1\n     | n2\nvoters n1 n2 n3").replace(
      "campaign n1",
      "campaign {who}",
    );
    const { failure } = runScenario(parseScenario(text));
    assert.equal(failure?.row, "who=n2");
  });

  test("a scenario cannot break Raft unnoticed: two leaders of a term fail it without any expectation", () => {
    const twoVotes = `holds: n3 votes twice.
source: this test
voters n1 n2 n3
absent n3
options preVote=off
campaign n1
receive n1 voteReply from n3 granted
campaign n2
receive n2 voteReply from n3 granted
expect all up
`;
    const { failure } = runScenario(parseScenario(twoVotes));
    assert.deepEqual([failure?.line, failure?.message], [9, "an invariant of Raft is broken: two leaders in term 1: n1 and n2"]);
  });
});

describe("docs/scenarios.md", () => {
  const page = readFileSync(join(root, "docs", "scenarios.md"), "utf8");
  const rows = (title: string): string[] => {
    const section = page.split(`## ${title}\n`)[1]?.split("\n## ")[0] ?? "";
    return [...section.matchAll(/^\| `([\w]+)/gm)].map((match) => match[1]!);
  };
  const sorted = (names: Iterable<string>): string[] => [...new Set(names)].toSorted();

  test("explains every verb, and no other", () => assert.deepEqual(sorted(rows("Verbs")), sorted(VERB_NAMES)));
  test("explains every form of expect, and no other", () => {
    assert.deepEqual(sorted(rows("Expectations")), sorted(EXPECT_FORMS));
  });
  test("explains every fact about a node, and no other", () => {
    assert.deepEqual(sorted(rows("Facts about a node")), sorted(Object.keys(FACTS)));
  });
  test("explains every message and every field, and no other", () => {
    assert.deepEqual(sorted(rows("Messages")), sorted([...MESSAGE_KINDS, ...MESSAGE_FIELDS]));
  });
  test("explains every option, and no other", () => assert.deepEqual(sorted(rows("Options")), sorted(OPTION_NAMES)));
  test("its worked example holds", () => {
    const example = /```scenario\n([\s\S]*?)```/.exec(page)?.[1] ?? "";
    assert.equal(runScenario(parseScenario(example)).failure, null);
  });
});

describe("npm run scenario", () => {
  const run = (...args: string[]) =>
    spawnSync(process.execPath, [join(root, "src", "sim", "scenario", "main.ts"), ...args], {
      encoding: "utf8",
      timeout: 60_000,
      cwd: tmpdir(),
      env: { ...process.env, INIT_CWD: tmpdir() },
    });
  const scratch = (text: string): { readonly path: string; readonly remove: () => void } => {
    const directory = mkdtempSync(join(tmpdir(), "scenario-"));
    const path = join(directory, "x.scenario");
    writeFileSync(path, text);
    return { path, remove: () => rmSync(directory, { recursive: true }) };
  };

  test("runs a file from anywhere and exits 0 when it holds, 1 with trace and place when it does not", () => {
    const { path, remove } = scratch(EXAMPLE);
    try {
      const good = run(path);
      assert.equal(good.status, 0, good.stderr);
      assert.match(good.stdout, /^ok {3}.*A majority elects\. \(2 expectations\)/);
      writeFileSync(path, EXAMPLE.replace("leader n1", "leader n3"));
      const bad = run(path);
      assert.equal(bad.status, 1);
      assert.match(bad.stdout, /campaign n1\n {2}n1 is [\s\S]*FAIL [\s\S]*x\.scenario:7:1: expected who leads: n3/);
    } finally {
      remove();
    }
  });

  test("--rewrite writes the golden trace, and only then it is compared", () => {
    const { path, remove } = scratch(`${EXAMPLE}\ntrace:\n`);
    try {
      assert.equal(run(path).status, 1);
      assert.equal(run("--rewrite", path).status, 0);
      assert.equal(run(path).status, 0);
      assert.match(readFileSync(path, "utf8"), /trace:\ncampaign n1\n {2}n1 is /);
      const rewritten = readFileSync(path, "utf8");
      assert.equal(run("--rewrite", path).status, 0);
      assert.equal(readFileSync(path, "utf8"), rewritten);
    } finally {
      remove();
    }
  });

  test("says usage and exits 64 without a file or with an unknown option; a missing or broken file is named", () => {
    assert.equal(run().status, 64);
    assert.equal(run("--wrong", "x").status, 64);
    const missing = run("nowhere.scenario");
    assert.equal(missing.status, 1);
    assert.match(missing.stderr, /nowhere\.scenario: ENOENT/);
    const { path, remove } = scratch(EXAMPLE.replace("settle", "setle"));
    try {
      const broken = run(path);
      assert.equal(broken.status, 1);
      assert.match(broken.stderr, /x\.scenario:6:1: unknown verb "setle", did you mean "settle"\?/);
    } finally {
      remove();
    }
  });
});
