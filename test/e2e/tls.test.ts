import assert from "node:assert/strict";
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { Authority, type CertificateFiles, noOpenssl } from "./certificates.ts";
import { RealCluster } from "./real-cluster.ts";
import { assertRefused, run } from "./refusals.ts";

describe("a cluster with TLS on the peer and client ports", { skip: noOpenssl, timeout: 120_000 }, () => {
  let scratch: string;
  let ours: Authority;
  let theirs: Authority;
  let cluster: RealCluster;
  const files = new Map<string, CertificateFiles>();

  before(async () => {
    scratch = mkdtempSync(join(tmpdir(), "ringraft-tls-"));
    ours = new Authority(scratch, "ours");
    theirs = new Authority(scratch, "theirs");
    const script = join(scratch, "work.cjs");
    writeFileSync(script, `console.log(JSON.stringify({ result: "done under TLS" }))`);
    cluster = await RealCluster.prepare({
      voters: 3,
      workers: 1,
      handlers: [{ kind: "test.tls", command: [process.execPath, script], timeoutSeconds: 30 }],
      editConfig: (text, layout) => layout.nodes.reduce((config, { name }) => withTls(config, name, ours.issue(name)), text),
    });
    cluster.startAll();
    await cluster.leader();
  });
  after(async () => {
    await cluster.stop();
    rmSync(scratch, { recursive: true });
  });

  /** The files of one node, under its host entry. */
  const withTls = (config: string, node: string, { ca, cert, key }: CertificateFiles): string => {
    files.set(node, { ca, cert, key });
    const one = `{ca: ${ca}, cert: ${cert}, key: ${key}}`;
    return config.replace(
      new RegExp(`(  ${node}:\n.*\n    ringraft:\n)`),
      `$1      tls:\n        peer: ${one}\n        client: ${one}\n`,
    );
  };
  const endpoint = () => cluster.layout.endpoints[0]!;

  test("elects, runs a worker's item, and answers the command line with --ca", async () => {
    const client = cluster.client(20_000, { tls: { ca: readFileSync(ours.ca, "utf8") } });
    const { item } = await client.work.enqueue({ kind: "test.tls" });
    const done = await cluster.until("the item", async () => {
      const now = await client.work.get(item.workId);
      return now.state === "SUCCEEDED" ? now : null;
    });
    assert.equal(done.result, "done under TLS");
    const list = await run(["job", "list", "-e", endpoint(), "--ca", ours.ca]);
    assert.deepEqual([list.code, list.stderr], [0, ""]);
  });

  test("refuses a client that speaks plaintext, and a client refuses a server of another authority", async () => {
    const plain = await run(["job", "list", "-e", endpoint(), "--timeout", "1"]);
    assert.ok(plain.code === 5 || plain.code === 6, `exit code ${plain.code}: ${plain.stderr}`);
    const foreign = await run(["job", "list", "-e", endpoint(), "--ca", theirs.ca, "--timeout", "1"]);
    assert.ok(foreign.code === 5 || foreign.code === 6, `exit code ${foreign.code}: ${foreign.stderr}`);
    assert.match(foreign.stderr, /certificate/);
    assertRefused(await run(["job", "list", "-e", endpoint(), "--ca", "/nowhere.pem"]), 2, /\/nowhere\.pem cannot be read/);
    assertRefused(await run(["job", "list", "-e", endpoint(), "--cert", ours.ca]), 2, /--cert and --key need --ca/);
  });

  test("refuses a peer whose certificate names another node or comes from another authority, and logs which", async () => {
    const own = files.get("voter-3")!;
    const genuine = { cert: readFileSync(own.cert), key: readFileSync(own.key) };
    const logs = () => cluster.log("voter-1") + cluster.log("voter-2");
    /** Restarts voter-3 with another certificate and waits for what the others, or one of them, write about it. */
    const refusedAs = async ({ cert, key }: CertificateFiles, why: RegExp) => {
      await cluster.signal("voter-3", "SIGKILL");
      writeFileSync(own.cert, readFileSync(cert));
      writeFileSync(own.key, readFileSync(key));
      cluster.startNode("voter-3");
      await cluster.until(`${why} in a log`, () => Promise.resolve(why.test(logs()) || null));
      const stranger = await cluster.until("voter-3", () => cluster.status("voter-3"));
      assert.equal(stranger.leader_id ?? null, null);
      const leader = await cluster.leader("voter-3");
      assert.equal((await cluster.status(leader))!.voters["voter-3"]!.alive, false);
    };
    await refusedAs(ours.issue("voter-7"), /the certificate names node-voter-7, [^"]*, not node-voter-3/);
    await refusedAs(theirs.issue("voter-3"), /"peer":"voter-3"[^\n]*(?:unable to verify|self-signed|local issuer)/);

    await cluster.signal("voter-3", "SIGKILL");
    writeFileSync(own.cert, genuine.cert);
    writeFileSync(own.key, genuine.key);
    cluster.startNode("voter-3");
    await cluster.until("voter-3 with its own certificate", async () =>
      (await cluster.status("voter-3"))?.leader_id != null ? true : null,
    );
  });

  test("does not start with a key that others may read, a file that is missing, or a key that is none: 78, and the file", async () => {
    const { key, cert } = files.get("voter-3")!;
    const start = () => run(["serve", "--config", cluster.layout.configFile, "--node-id", "voter-3"]);
    const kept = readFileSync(key);
    chmodSync(key, 0o644);
    assertRefused(await start(), 78, /voter-3\.key is a private key that everybody on this machine may open \(mode 0644\)/);
    chmodSync(key, 0o600);
    writeFileSync(key, readFileSync(cert));
    assertRefused(await start(), 78, /voter-3\.key holds no PEM private key/);
    rmSync(key);
    assertRefused(await start(), 78, /voter-3\.key does not exist/);
    writeFileSync(key, kept, { mode: 0o600 });
  });
});
