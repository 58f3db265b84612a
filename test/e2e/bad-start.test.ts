import assert from "node:assert/strict";
import { chmodSync, cpSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, describe, test } from "node:test";
import { devConfig, devLayout } from "../../src/cli/dev/layout.ts";
import { freeBasePort, RealCluster } from "./real-cluster.ts";
import { type Ended, assertRefused, run, treeOf, whilePortIsTaken } from "./refusals.ts";

describe("a bad configuration", { concurrency: 2 }, () => {
  let scratch: string;
  let good: string;
  let written = 0;
  before(async () => {
    scratch = mkdtempSync(join(tmpdir(), "ringraft-bad-"));
    const layout = devLayout(join(scratch, "never"), await freeBasePort(40), { voters: 3, workers: 1 });
    good = devConfig(layout, { handlers: [], workingFolder: scratch, workerSettings: [], queue: "default" });
  });
  after(() => rmSync(scratch, { recursive: true, force: true }));

  const fileOf = (text: string): string => {
    const folder = join(scratch, `config-${++written}`);
    mkdirSync(folder);
    writeFileSync(join(folder, "cluster.yaml"), text);
    return join(folder, "cluster.yaml");
  };
  const serve = (file: string, node = "voter-1") => run(["serve", "--config", file, "--node-id", node]);

  test("that is missing, a folder, unreadable or no YAML is refused with its name and place", async () => {
    assertRefused(await serve(join(scratch, "nowhere.yaml")), 78, /nowhere\.yaml: does not exist$/);
    assertRefused(await serve(scratch), 78, /ringraft-bad-\w+: is a directory$/);
    assertRefused(await serve(fileOf(`${good}voters: [a\n`)), 78, /cluster\.yaml:\d+:\d+: not valid YAML: /);
    const unreadable = fileOf(good);
    chmodSync(unreadable, 0);
    if (process.getuid?.() !== 0) assertRefused(await serve(unreadable), 78, /cluster\.yaml: cannot be read: permission denied$/);
  });

  const edited: readonly (readonly [what: string, from: string | RegExp, to: string, message: RegExp, hint: RegExp | null])[] = [
    ["an unknown key", "voters:", "voter:", /cluster\.yaml:\d+:1 voter: unknown key voter$/, /did you mean voters\?/],
    ["a wrong type", /http: \d+/, "http: many", /ports\.http: "many" is not a port/, null],
    [
      "an impossible timing",
      "profile: local",
      "{heartbeat: 200ms, election: 600ms}",
      /timing\.election: the election timeout 600 ms must be above 3 × the heartbeat 200 ms/,
      /two lost heartbeats/,
    ],
    ["a node that stands twice", "  voter-2:", "  voter-1:", /not valid YAML: Map keys must be unique/, null],
    ["a voter that stands twice", "  - voter-2", "  - voter-1", /voters.*voter-1/, null],
    ["a voter that is no host", "  - voter-2", "  - voter-9", /voter-9/, null],
    [
      "a port that two listeners claim",
      /peer: \d+/,
      "peer: 4000\n        client: 4000",
      /Map keys must be unique|claimed twice/,
      null,
    ],
    ["a public listener without TLS", "  address: 127.0.0.1", "  address: 0.0.0.0", /without TLS|plain HTTP/, /insecure/],
  ];
  for (const [what, from, to, message, hint] of edited) {
    test(`with ${what} is refused, and changes nothing`, async () => {
      const file = fileOf(good.replace(from, to));
      assert.notEqual(readFileSync(file, "utf8"), good, "the edit took place");
      const was = treeOf(dirname(file));
      assertRefused(await serve(file), 78, message, hint);
      assert.deepEqual(treeOf(dirname(file)), was);
      assert.equal(treeOf(join(scratch, "never")), null, "no data directory was made");
    });
  }

  test("is refused by `cluster init` and `config validate` in the same words", async () => {
    const file = fileOf(good.replace("voters:", "voter:"));
    const message = /cluster\.yaml:\d+:1 voter: unknown key voter\n {2}did you mean voters\?\n$/;
    for (const args of [
      ["cluster", "init", "--config", file, "--node-id", "voter-1"],
      ["config", "validate", file],
    ]) {
      const ended = await run(args);
      assert.equal(ended.code, 78);
      assert.match(ended.stderr, message);
    }
    assert.equal(treeOf(join(scratch, "never")), null, "no data directory was made");
  });

  test("without this node in it, or without a name for it, is refused with the names that there are", async () => {
    const file = fileOf(good);
    assertRefused(await serve(file, "voter-4"), 78, /hosts: this node's id "voter-4" is not under hosts/, /did you mean voter-/);
    assertRefused(await run(["serve", "--config", file]), 78, /node_id: this node has no name/, /set RINGRIFT_NODE_ID/);
    const disputed = await run(["serve", "--config", file, "--node-id", "voter-1"], { RINGRIFT_NODE_ID: "voter-2" });
    assertRefused(disputed, 78, /the node's name is disputed: --node-id says "voter-1", RINGRIFT_NODE_ID says "voter-2"/);
    assertRefused(await serve(file, "f3b0c44298fc"), 78, /looks like a container id/);
  });

  test("`cluster init` on a worker is refused, and the voters are named", async () => {
    const init = await run(["cluster", "init", "--config", fileOf(good), "--node-id", "worker-1"]);
    assertRefused(init, 78, /worker-1 is not a voter: a cluster is initialised on one of voter-1, voter-2, voter-3/);
    assert.equal(treeOf(join(scratch, "never")), null);
  });

  test("a data directory that is a file or writable for everyone is refused with the way out", async () => {
    const file = join(scratch, "a-file");
    writeFileSync(file, "");
    const open = join(scratch, "open");
    mkdirSync(open);
    chmodSync(open, 0o777);
    const dataIn = (folder: string) => fileOf(good.replace(/data_dir: .*voter-1"/, `data_dir: ${JSON.stringify(folder)}`));
    assertRefused(await serve(dataIn(file)), 78, /data directory \S+a-file is not a directory/, /Name a directory/);
    assertRefused(await serve(dataIn(open)), 78, /data directory \S+open is writable for everyone \(mode 777\)/, /chmod 700/);
    assert.deepEqual(treeOf(open), []);
  });
});

describe("a wrong command line", { concurrency: 2 }, () => {
  const dead = "127.0.0.1:9";

  test("ends `serve` with 64 and every other command with 2, in one line", async () => {
    assertRefused(await run(["serve"]), 64, /--config FILE is missing/);
    assertRefused(await run(["serve", "--confg", "x"]), 64, /Unknown option '--confg'/);
    assertRefused(await run(["serve", "--config", "x", "extra"]), 64, /unexpected argument "extra"/);
    assertRefused(await run(["cluster", "init"]), 2, /--config FILE is missing/);
    assertRefused(await run(["config", "validate"]), 2, /missing argument FILE/);
    assertRefused(await run(["job", "lst"]), 2, /unknown command "job lst"/);
    assertRefused(await run(["job", "list", "--limt", "1"]), 2, /Unknown option '--limt'/);
    assertRefused(await run(["job", "list", "-o", "xml"]), 2, /-o takes table or json, not "xml"/);
    assertRefused(await run(["job", "list", "--timeout", "soon"]), 2, /--timeout takes seconds/);
    assertRefused(await run(["job", "list", "--limit", "many"]), 2, /limit takes an integer, not "many"/);
    assertRefused(await run(["wal", "verify", "/nowhere"]), 2, /\/nowhere is not a directory/);
  });

  test("an endpoint or URL that is none is named", async () => {
    assertRefused(await run(["job", "list", "-e", "127.0.0.1"]), 2, /"127\.0\.0\.1" is not HOST:PORT/);
    assertRefused(await run(["job", "list", "-e", "127.0.0.1:99999"]), 2, /"127\.0\.0\.1:99999" is not HOST:PORT/);
    assertRefused(await run(["status", "--http", "ftp://x"]), 2, /"ftp:\/\/x"/);
    assertRefused(await run(["status", "--http", "::::"]), 2, /"::::"/);
  });

  test("a node that is not there is exit code 5 or 6, and its address is named", async () => {
    assertRefused(
      await run(["status", "--http", `http://${dead}`]),
      5,
      /no answer from http:\/\/127\.0\.0\.1:9\/status/,
      /--http/,
    );
    assertRefused(await run(["status", "--http", dead]), 5, /no answer from http:\/\/127\.0\.0\.1:9\/status/, /--http/);
    const list = await run(["job", "list", "-e", dead, "--timeout", "0.5"]);
    assertRefused(list, list.code === 5 ? 5 : 6, /127\.0\.0\.1:9/);
  });
});

describe("a voter's data directory", () => {
  let cluster: RealCluster;
  let kept: string;
  let folder: string;
  let whileInUse: readonly Ended[];
  const acknowledged: string[] = [];
  before(async () => {
    const edit = (text: string) =>
      `${text}cluster:\n  id: first-cluster\nraft:\n  snapshot_every: 100\n  keep_entries: 10\n  segment: 1MiB\n`;
    cluster = await RealCluster.prepare({ voters: 1, workers: 0, editConfig: edit });
    folder = join(cluster.layout.folder, "voter-1");
    kept = join(cluster.layout.folder, "kept");
    cluster.startNode("voter-1");
    await cluster.leader();
    whileInUse = [await serve(), await run(initArgs(cluster))];
    const client = cluster.client();
    // Enough for three segments, so that the log alone does not reach back to the beginning.
    const payload = "x".repeat(8_192);
    for (let at = 0; at < 450; at += 50) {
      const items = await Promise.all(Array.from({ length: 50 }, () => client.work.enqueue({ kind: "test.seed", payload })));
      acknowledged.push(...items.map(({ item }) => item.workId));
    }
    await cluster.until("snapshots that the first segment is not needed for", () =>
      Promise.resolve((Number.parseInt(snapshotsIn(folder)[0] ?? "0", 16) > 200 && !isSaving(folder)) || null),
    );
    await cluster.signal("voter-1", "SIGKILL");
    cpSync(folder, kept, { recursive: true, preserveTimestamps: true });
  });
  after(() => cluster.stop());

  const restore = () => {
    rmSync(folder, { recursive: true, force: true });
    cpSync(kept, folder, { recursive: true, preserveTimestamps: true });
  };
  const serve = () => run(serveArgs(cluster));
  const edited = (from: string | RegExp, to: string): string => {
    const file = join(cluster.layout.folder, "edited.yaml");
    writeFileSync(file, readFileSync(cluster.layout.configFile, "utf8").replace(from, to));
    return file;
  };
  /** What every refusal of a directory has in common. */
  const refusedUnchanged = async (
    start: () => ReturnType<typeof run>,
    code: number,
    message: RegExp,
    hint: RegExp | null = null,
  ) => {
    const was = treeOf(folder);
    assertRefused(await start(), code, message, hint);
    assert.deepEqual(treeOf(folder), was, "nothing changed");
  };

  for (const listener of ["http", "peer", "client"] as const) {
    test(`stays as it was when the ${listener} port is in use: exit 75, and the port's number`, async () => {
      const port = cluster.layout.nodes[0]!.ports[listener];
      await whilePortIsTaken(port, () => refusedUnchanged(serve, 75, new RegExp(`port ${port} .* in use by another process`)));
    });
  }

  test("in use by another process is refused with 75 by a second start and by `cluster init`", () => {
    for (const ended of whileInUse) {
      assertRefused(ended, 75, /data directory \S+voter-1 is in use by another process/, /Stop the other process/);
    }
  });

  test("of another node or of another cluster is refused with 78 and both names", async () => {
    const other = edited(/  voter-1:/, "  voter-9:");
    writeFileSync(other, readFileSync(other, "utf8").replace("  - voter-1", "  - voter-9"));
    for (const args of [["serve"], ["cluster", "init"]]) {
      await refusedUnchanged(
        () => run([...args, "--config", other, "--node-id", "voter-9"]),
        78,
        /data directory \S+voter-1 belongs to node voter-1, not to voter-9$/,
        /Nothing was changed/,
      );
    }
    const foreign = edited("first-cluster", "second-cluster");
    for (const args of [["serve"], ["cluster", "init"]]) {
      await refusedUnchanged(
        () => run([...args, "--config", foreign, "--node-id", "voter-1"]),
        78,
        /data directory \S+voter-1 belongs to cluster first-cluster, not to second-cluster$/,
        /Nothing was changed/,
      );
    }
  });

  test("that is initialised is not initialised again", async () => {
    const init = () => run(initArgs(cluster));
    await refusedUnchanged(init, 78, /already belongs to cluster first-cluster$/, /Nothing was changed/);
  });

  test("whose identity.json is damaged or missing is refused with 74, and the file is named", async () => {
    const identity = join(folder, "identity.json");
    writeFileSync(identity, "{");
    await refusedUnchanged(serve, 74, /identity\.json: it is not JSON$/, /Do not delete files/);
    rmSync(identity);
    await refusedUnchanged(serve, 74, /identity\.json: it is missing, but wal\/ holds a log$/, /Do not delete files/);
    restore();
  });

  test("with one flipped bit in the middle of the log is refused with 74, file and offset, and `wal verify` says the same", async () => {
    const file = lastSegment(folder);
    const bytes = readFileSync(file);
    // In the first record behind the header: whatever the last batch is, there are durable ones after this.
    const at = SEGMENT_HEADER_BYTES + RECORD_HEADER_BYTES + 1;
    bytes[at] = bytes[at]! ^ 4;
    writeFileSync(file, bytes);
    const was = treeOf(folder);
    const verify = await run(["wal", "verify", folder, "-o", "json"]);
    assert.equal(verify.code, 74);
    const row = (JSON.parse(verify.stdout) as readonly VerifyRow[]).at(-1)!;
    assert.equal(row.verdict, "corrupt");
    assert.ok(row.offset! <= at, `byte ${at} reported at ${row.offset}`);
    assert.deepEqual(treeOf(folder), was, "wal verify writes nothing");
    const where = new RegExp(`${row.file.replaceAll(".", "\\.")} at byte ${row.offset}: `);
    await refusedUnchanged(serve, 74, where, /ringraft wal verify.*Do not delete files/);
    restore();
  });

  test("whose log ends in half a record starts, keeps the tail aside, and nothing acknowledged is lost", async () => {
    const file = lastSegment(folder);
    const { bytes: used } = await verified(folder);
    // What a crash leaves of a batch that nobody had been told of: its first bytes, and no zeros behind them.
    const header = readFileSync(file).subarray(used - 40, used);
    writeFileSync(file, Buffer.concat([readFileSync(file).subarray(0, used), header.subarray(0, 11)]));
    assert.equal((await verified(folder)).verdict, "torn");
    await assertHolds(acknowledged);
    assert.match(cluster.log("voter-1"), /torn tail of the log cut off/);
    assert.equal(readdirSync(join(folder, "wal")).filter((name) => name.endsWith(".torn-1")).length, 1);
    restore();
  });

  test("whose newest snapshot is damaged starts from the older one; with none left that is whole it is refused with 74", async () => {
    const snapshots = snapshotsIn(folder).map((name) => join(folder, "snap", name));
    flipMiddle(snapshots.at(-1)!);
    await assertHolds(acknowledged);
    assert.match(cluster.log("voter-1"), /"why":"snap\/\S+ at byte \d+: .*"a snapshot is damaged"/);
    restore();
    snapshots.forEach(flipMiddle);
    await refusedUnchanged(serve, 74, /the log begins after index \d+, but there is no usable snapshot/, /Do not delete files/);
    restore();
  });

  /** Starts the voter, finds every item, and kills it. */
  async function assertHolds(ids: readonly string[]): Promise<void> {
    cluster.startNode("voter-1");
    try {
      await cluster.leader();
      const { work } = cluster.client();
      const found: string[] = [];
      let pageToken = "";
      do {
        const page = await work.list({ limit: 1000, pageToken });
        found.push(...page.items.map((item) => item.workId));
        pageToken = page.nextPageToken;
      } while (pageToken !== "");
      assert.deepEqual(found.toSorted(), ids.toSorted());
    } finally {
      await cluster.signal("voter-1", "SIGKILL");
    }
  }
});

const SEGMENT_HEADER_BYTES = 64;
const RECORD_HEADER_BYTES = 32;

interface VerifyRow {
  readonly file: string;
  readonly verdict: string;
  readonly bytes: number;
  readonly offset: number | null;
}

/** The last row of `wal verify`. */
async function verified(folder: string): Promise<VerifyRow> {
  const { stdout } = await run(["wal", "verify", folder, "-o", "json"]);
  return (JSON.parse(stdout) as readonly VerifyRow[]).at(-1)!;
}

function lastSegment(folder: string): string {
  const [last] = readdirSync(join(folder, "wal"))
    .filter((name) => name.endsWith(".wal"))
    .toSorted()
    .slice(-1);
  return join(folder, "wal", last!);
}

/** Oldest first. */
function snapshotsIn(folder: string): readonly string[] {
  return readdirSync(join(folder, "snap"))
    .filter((name) => name.endsWith(".snap"))
    .toSorted();
}

function isSaving(folder: string): boolean {
  return readdirSync(join(folder, "snap")).some((name) => name.endsWith(".tmp"));
}

function flipMiddle(file: string): void {
  const bytes = readFileSync(file);
  const at = Math.floor(bytes.length / 2);
  bytes[at] = bytes[at]! ^ 1;
  writeFileSync(file, bytes);
}

const serveArgs = ({ layout }: RealCluster): readonly string[] => [
  "serve",
  "--config",
  layout.configFile,
  "--node-id",
  "voter-1",
];
const initArgs = ({ layout }: RealCluster): readonly string[] => [
  "cluster",
  "init",
  "--config",
  layout.configFile,
  "--node-id",
  "voter-1",
];
