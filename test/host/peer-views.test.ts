import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, test } from "node:test";
import { ClusterId, LogIndex, NO_INDEX, NodeId, seededRandom } from "#kernel";
import type { Testimony } from "#membership";
import type { Log } from "#ports";
import { settledConfiguration } from "#raft";
import { PeerDirectories } from "#storage";
import { Authority, type CertificateFiles, noOpenssl } from "../e2e/certificates.ts";
import { systemTimers } from "../../src/host/clock.ts";
import {
  type GrpcPeerLinks,
  type TlsMaterial,
  type ViewOptions,
  askView,
  createPeerLinks,
  viewService,
} from "../../src/host/peer-grpc/index.ts";
import { MemoryDisk } from "../storage/memory-disk.ts";

const [a, b, gpu, cpu] = ["a", "b", "gpu-1", "cpu-1"].map(NodeId) as [NodeId, NodeId, NodeId, NodeId];
const seen: Testimony = {
  healthMultiplier: 2,
  partition: [gpu, cpu],
  members: new Map([
    [gpu, { state: "dead", incarnation: { epoch: 7, counter: 3 } }],
    [cpu, { state: "alive", incarnation: { epoch: 1, counter: 0 } }],
  ]),
};
const folder = mkdtempSync(join(tmpdir(), "ringraft-views-"));
const open: GrpcPeerLinks[] = [];

afterEach(async () => {
  for (const links of open.splice(0)) await links.close();
});
after(() => rmSync(folder, { recursive: true, force: true }));

test("a voter tells what it sees of those that it is asked about, and of nobody else", async () => {
  const address = await voter(b, seen);
  assert.deepEqual(await ask(b, address, [gpu, cpu]), seen);
  const { members, ...rest } = seen;
  const about = [gpu, NodeId("unknown")];
  assert.deepEqual(await ask(b, address, about), { ...rest, members: new Map([[gpu, members.get(gpu)!]]) });
  const uncut = await voter(b, { ...seen, partition: null });
  assert.equal((await ask(b, uncut, []))?.partition, null);
});

test("every state of a member passes unchanged", async () => {
  const states = ["alive", "suspect", "dead", "left", "removed"] as const;
  const members = new Map(states.map((state) => [NodeId(state), { state, incarnation: { epoch: 2 ** 32 - 1, counter: 9 } }]));
  const address = await voter(b, { ...seen, members });
  assert.deepEqual((await ask(b, address, states.map(NodeId)))?.members, members);
});

test("a voter without a view says so, and one that does not answer in time has none", { timeout: 20_000 }, async () => {
  assert.equal(await ask(b, await voter(b, null), [gpu]), null);
  assert.equal(await ask(b, await voter(b, new Promise(() => {})), [gpu]), null);
  assert.equal(await ask(b, "127.0.0.1:1", [gpu]), null);
});

test("a voter that has moved is asked where the link to it is open; without a link, where the file has it", async () => {
  const [here, there] = [await voter(b, seen), await voter(b, { ...seen, healthMultiplier: 8 })];
  const options = { self: a, clusterId: ClusterId("blue"), peers: new Map([[b, here]]), tls: null };
  const heard = async (openAt: string | null) => (await askView({ ...options, openAt: () => openAt }, b, []))?.healthMultiplier;
  assert.deepEqual([await heard(there), await heard(null)], [8, 2]);
});

test("another cluster, a stranger and whoever looks for another node are told nothing", async () => {
  const address = await voter(b, seen);
  const options = { self: a, clusterId: ClusterId("blue"), peers: new Map([[b, address]]), tls: null };
  assert.notEqual(await askView(options, b, [gpu]), null);
  assert.equal(await askView({ ...options, clusterId: ClusterId("green") }, b, [gpu]), null);
  assert.equal(await askView({ ...options, self: NodeId("stranger") }, b, [gpu]), null);
  const elsewhere = { ...options, peers: new Map([[NodeId("c"), address]]) };
  assert.equal(await askView(elsewhere, NodeId("c"), [gpu]), null);
  assert.equal(await askView(options, NodeId("not in the file"), [gpu]), null);
});

test("with certificates a node neither speaks for a voter nor asks in another's name", { skip: noOpenssl }, async () => {
  const authority = new Authority(folder, "ours");
  const [ofA, ofB, ofWorker] = ["a", "b", "gpu-1"].map((node) => materialOf(authority.issue(node))) as [
    TlsMaterial,
    TlsMaterial,
    TlsMaterial,
  ];
  const honest = await voter(b, seen, ofB);
  assert.deepEqual(await ask(b, honest, [gpu, cpu], ofA), seen);
  assert.equal(await ask(b, honest, [gpu, cpu], ofWorker), null, "a worker that calls itself a");
  assert.equal(await ask(b, await voter(b, seen, ofWorker), [gpu, cpu], ofA), null, "a worker that answers as b");
  const foreign = materialOf(new Authority(folder, "theirs").issue("b"));
  assert.equal(await ask(b, await voter(b, seen, foreign), [gpu, cpu], ofA), null, "another authority's b");
});

function ask(whom: NodeId, address: string, about: readonly NodeId[], tls: TlsMaterial | null = null) {
  return askView({ self: a, clusterId: ClusterId("blue"), peers: new Map([[whom, address]]), tls }, whom, about);
}

/** The peer port of a voter that sees `view`. */
async function voter(self: NodeId, view: Testimony | null | Promise<Testimony>, tls: TlsMaterial | null = null): Promise<string> {
  const options: ViewOptions = { self, clusterId: ClusterId("blue"), peers: new Map([[a, "127.0.0.1:1"]]), tls };
  const membership = { index: LogIndex(1), configuration: settledConfiguration([a, b]) };
  const links = createPeerLinks(
    {
      ...options,
      incarnation: 1,
      directoryId: "d",
      starts: 1,
      admission: () => NO_INDEX,
      lastIndex: () => NO_INDEX,
      dialAtFirst: new Set(),
      listen: { host: "127.0.0.1", port: 0 },
      services: [viewService(options, () => Promise.resolve(view))],
    },
    {
      timers: systemTimers(),
      random: seededRandom(1),
      log: quiet,
      directories: await PeerDirectories.open(new MemoryDisk(), () => membership),
      onDirectory: () => {},
    },
    { onMessage: () => {}, onConnected: () => {}, onDisconnected: () => {} },
  );
  open.push(links);
  return `127.0.0.1:${await links.start()}`;
}

function materialOf({ ca, cert, key }: CertificateFiles): TlsMaterial {
  return { ca: readFileSync(ca), cert: readFileSync(cert), key: readFileSync(key) };
}

const quiet: Log = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {}, child: () => quiet };
