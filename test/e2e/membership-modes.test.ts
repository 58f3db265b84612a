import assert from "node:assert/strict";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { type Ended, assertRefused, run } from "./refusals.ts";
import { RealCluster, ringraft } from "./real-cluster.ts";
import { withMembership } from "./swim-config.ts";

type Flags = Readonly<Record<string, string>>;

test(
  "ADR-013: the flags switch the detector of a real node on, off and back with restarts alone, and /status says which one runs",
  { timeout: 240_000 },
  async (t) => {
    const cluster = await RealCluster.prepare({ voters: 1, workers: 0, editConfig: withMembership });
    t.after(() => cluster.stop());
    const mode = async (flags: Flags): Promise<string | null> => {
      cluster.startNode("voter-1", flags);
      await cluster.leader();
      const status = (await cluster.status("voter-1")) as { readonly membership?: { readonly mode: string } } | null;
      const shown = ringraft(["members", "--http", `127.0.0.1:${cluster.httpPort("voter-1")}`]);
      assert.equal(shown.status, 0, shown.stderr);
      await cluster.signal("voter-1", "SIGTERM");
      return status?.membership?.mode ?? null;
    };
    assert.equal(await mode({}), "swim");
    assert.equal(await mode({ RINGRIFT_SWIM_ENABLED: "true", RINGRIFT_MEMBERSHIP_MODE: "hybrid" }), "hybrid");
    // Rolled back, without the file that only SWIM needs.
    rmSync(join(cluster.layout.folder, "gossip.key"));
    assert.equal(await mode({ RINGRIFT_SWIM_ENABLED: "true", RINGRIFT_MEMBERSHIP_MODE: "http" }), "http");
    assert.match(cluster.log("voter-1"), /RINGRIFT_SWIM_ENABLED=true has no effect: RINGRIFT_MEMBERSHIP_MODE=http decides/);
    assert.equal(await mode({ RINGRIFT_SWIM_ENABLED: "false" }), "http");

    const serve = (flags: Flags): Promise<Ended> =>
      run(["serve", "--config", cluster.layout.configFile, "--node-id", "voter-1"], flags);
    assertRefused(await serve({}), 78, /membership\.key_file: \S+gossip\.key cannot be read: ENOENT/);
    assertRefused(
      await serve({ RINGRIFT_SWIM_ENABLED: "false", RINGRIFT_MEMBERSHIP_MODE: "swim" }),
      78,
      /RINGRIFT_SWIM_ENABLED: RINGRIFT_SWIM_ENABLED=false contradicts RINGRIFT_MEMBERSHIP_MODE=swim/,
      /unset one of the two/,
    );
    assertRefused(await serve({ RINGRIFT_MEMBERSHIP_MODE: "gossip" }), 78, /RINGRIFT_MEMBERSHIP_MODE: "gossip" must be one of/);
  },
);
