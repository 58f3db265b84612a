import assert from "node:assert/strict";
import { test } from "node:test";
import { countBoot, raiseBoot } from "#storage";
import { MemoryDisk } from "./memory-disk.ts";

test("every boot has a higher number than the one before, whatever crash came in between", async () => {
  const disk = new MemoryDisk();
  assert.deepEqual(await countBoot(disk), { boot: 1, problem: null });
  disk.crash(() => 0.5, 0);
  assert.deepEqual(await countBoot(disk), { boot: 2, problem: null });
});

test("a boot that others remember is counted, and a lower one changes nothing", async () => {
  const disk = new MemoryDisk();
  await countBoot(disk);
  await raiseBoot(disk, 40);
  await raiseBoot(disk, 7);
  disk.crash(() => 0.5, 0);
  assert.equal((await countBoot(disk)).boot, 41);
});

test("a count that cannot be read begins anew and says so: the other members know how far it had come", async () => {
  for (const text of ["", "{", "null", '{"boot":-1}', '{"boot":"7"}']) {
    const disk = new MemoryDisk();
    disk.put("boot-count.json", Buffer.from(text));
    const { boot, problem } = await countBoot(disk);
    assert.equal(boot, 1, text);
    assert.match(problem ?? "", /boot-count\.json (?:holds no count|is not JSON)/, text);
  }
});
