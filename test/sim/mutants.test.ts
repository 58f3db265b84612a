import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, test } from "node:test";
import { checkerNames } from "../../src/sim/checkers/checker.ts";
import { hunt, stopHunting } from "../../src/sim/mutants/hunt.ts";
import { parseMutant, plant, readCatalogue } from "../../src/sim/mutants/mutant.ts";

const root = new URL("../../", import.meta.url);
const ids = [...Array.from({ length: 20 }, (_, at) => `R${at + 1}`), ...Array.from({ length: 10 }, (_, at) => `S${at + 1}`)];

test("the catalogue of planted bugs is complete: R1 to R20 and S1 to S10", () => {
  assert.deepEqual(
    readCatalogue().map(({ id }) => id),
    ids,
  );
});

for (const mutant of readCatalogue()) {
  test(`planted bug ${mutant.id} fits the code as it stands: ${mutant.bug}`, () => {
    let changed = 0;
    const texts = new Map<string, string>();
    for (const edit of mutant.edits) {
      const before = texts.get(edit.file) ?? readFileSync(new URL(edit.file, root), "utf8");
      texts.set(edit.file, plant(mutant, edit, before));
      changed += 1;
    }
    assert.ok(changed > 0);
    const known: readonly string[] = checkerNames;
    assert.deepEqual(
      mutant.killedBy.filter((checker) => !known.includes(checker)),
      [],
    );
  });
}

// The whole catalogue takes minutes (`npm run sim:mutants`); these three show in almost every run.
for (const id of ["R2", "R7", "S5"]) {
  test(`planted bug ${id} is killed by a checker that its file names`, { timeout: 120_000 }, async () => {
    const mutant = readCatalogue().find((each) => each.id === id)!;
    assert.equal((await hunt(mutant, { seeds: 30, minutes: 1 })).kind, "killed");
  });
}

after(stopHunting);

test("a planted bug whose place has gone is refused by name", () => {
  const mutant = parseMutant(
    "X.mutant",
    "id: X\nbug: none\nprecedent: none\nkilled by: liveness\nfile: a.ts\n--- find\nfoo\n--- replace\nbar\n--- end\n",
  );
  assert.equal(plant(mutant, mutant.edits[0]!, "a foo b"), "a bar b");
  assert.throws(() => plant(mutant, mutant.edits[0]!, "a b"), /mutant X fits 0 places of a\.ts/);
  assert.throws(() => plant(mutant, mutant.edits[0]!, "foo foo"), /mutant X fits 2 places/);
});

test("a file that does not follow the form is refused with its line", () => {
  assert.throws(() => parseMutant("X.mutant", "id: X\nwhatever\n"), /X\.mutant:2: neither "key: value" nor a mark/);
  assert.throws(() => parseMutant("X.mutant", "id: X\n--- find\nfoo\n"), /X\.mutant:2: no "file:" stands before/);
  assert.throws(() => parseMutant("X.mutant", "id: X\n"), /X\.mutant: it changes nothing/);
});
